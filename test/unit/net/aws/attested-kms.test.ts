import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type AttestedKms, openAttestedKms } from '../../../../enclave/aws/attested-kms.ts';
import { sealEnvelope } from '../../../../infra/local/kms/envelope.ts';
import type { Fault } from '../../../../infra/local/kms/faults.ts';
import { digest } from '../../../../shared/ids.ts';
import type { KeyArn } from '../../../../shared/sealing/key-arn.ts';
import { boundNsm } from '../../../simulator/attested.ts';
import { CONTEXT, credentialsOf, KmsLab, NETWORK, principal, REGION, ROLE } from '../../../simulator/kms.ts';
import { measurement } from '../../../simulator/network.ts';
import { ForgedModule } from '../../attestation/forge.ts';

let lab: KmsLab;
let key: KeyArn;
let kms: AttestedKms;

/** For busy machines. */
const PATIENCE = { totalMs: 20_000, attemptMs: 10_000 };
const IMPATIENCE = { totalMs: 1_500, attemptMs: 700 };
const MINUTE_MS = 60_000;
const otherArn = `arn:aws:kms:${REGION}:111122223333:key/00000000-0000-4000-8000-000000000000`;

beforeAll(async () => {
  lab = await KmsLab.start();
  key = await lab.createKey();
  kms = await openAttestedKms({ ...lab.options(key), patience: PATIENCE });
});
afterEach(() => {
  lab.faults = () => undefined;
  lab.nowMs = Date.now;
});
afterAll(async () => {
  kms.close();
  await lab[Symbol.asyncDispose]();
});

/** A client that differs from the good one. */
async function other(change: Parameters<KmsLab['options']>[1]): Promise<AttestedKms> {
  return openAttestedKms(lab.options(key, { patience: PATIENCE, ...change }));
}

/** The fault for the first `times` requests of an operation. */
function faulty(operation: string, fault: Fault, times = Number.POSITIVE_INFINITY): () => number {
  let seen = 0;
  lab.faults = (name) => (name === operation && seen++ < times ? fault : undefined);
  return () => seen;
}

const answer = (change: Extract<Fault, { kind: 'answer' }>['change']): Fault => ({ kind: 'answer', change });
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

describe('attested KMS: what it gives', () => {
  it('attested KMS: a data key comes back under its context', async () => {
    await kms.inspectPolicy(await lab.expectation());
    const { plaintext, blob } = await kms.generateDataKey(CONTEXT);
    expect(plaintext).toHaveLength(32);
    expect(plaintext.some((byte) => byte !== 0)).toBe(true);
    expect(await kms.decrypt(blob, CONTEXT)).toEqual(plaintext);
    expect((await kms.generateDataKey(CONTEXT)).plaintext).not.toEqual(plaintext);
  });

  it('attested KMS: another boot of the image decrypts, with a recipient key of its own', async () => {
    const { plaintext, blob } = await kms.generateDataKey(CONTEXT);
    const again = await other({ nsm: await boundNsm(NETWORK) });
    expect(await again.decrypt(blob, CONTEXT)).toEqual(plaintext);
    again.close();
  });

  it.each([
    {},
    { a: '' },
    { 'a b': 'c' },
    { a: 'ä' },
    Object.fromEntries([...'abcdefghi'].map((c) => [c, c])),
  ])('attested KMS: the context %j is refused before anything is sent', async (context) => {
    const seen = faulty('GenerateDataKey', { kind: 'hang-up' });
    await expect(kms.generateDataKey(context)).rejects.toMatchObject({ code: 'BAD_INPUT' });
    await expect(kms.decrypt(new Uint8Array(9), context)).rejects.toMatchObject({ code: 'BAD_INPUT' });
    expect(seen()).toBe(0);
  });
});

describe('attested KMS: what KMS refuses', () => {
  it.each(['network', 'party', 'purpose'])('attested KMS: another %s', async (name) => {
    const { blob } = await kms.generateDataKey(CONTEXT);
    await expect(kms.decrypt(blob, { ...CONTEXT, [name]: 'other' })).rejects.toMatchObject({
      code: 'KMS_REFUSED',
    });
  });

  it('attested KMS: an altered, a cut and a foreign blob', async () => {
    const { blob } = await kms.generateDataKey(CONTEXT);
    const altered = blob.slice();
    altered[30]! ^= 1;
    const second = await openAttestedKms(lab.options(await lab.createKey()));
    const foreign = (await second.generateDataKey(CONTEXT)).blob;
    second.close();
    for (const bad of [altered, blob.slice(0, -1), foreign, randomBytes(80)]) {
      await expect(kms.decrypt(bad, CONTEXT)).rejects.toMatchObject({ code: 'KMS_REFUSED' });
    }
    for (const bad of [new Uint8Array(0), new Uint8Array(7000)]) {
      await expect(kms.decrypt(bad, CONTEXT)).rejects.toMatchObject({ code: 'BAD_ENCODING' });
    }
  });

  it('attested KMS: another image, another network, no network, a foreign root', async () => {
    const { blob } = await kms.generateDataKey(CONTEXT);
    const forged = await ForgedModule.make();
    const modules = [
      await boundNsm(NETWORK, { measurement: measurement(11) }),
      await boundNsm(digest(`6d6f636b${'22'.repeat(28)}`)),
      await boundNsm(digest('00'.repeat(32))),
      {
        attest: (request: { publicKey?: Uint8Array }) =>
          forged.document({ public_key: request.publicKey, timestamp: Date.now() }),
      },
    ];
    for (const nsm of modules) {
      const stranger = await other({ nsm });
      await expect(stranger.decrypt(blob, CONTEXT)).rejects.toMatchObject({ code: 'KMS_REFUSED' });
      await expect(stranger.generateDataKey(CONTEXT)).rejects.toMatchObject({ code: 'KMS_REFUSED' });
      stranger.close();
    }
  });

  it('attested KMS: a document that was altered on the way, or is older than five minutes', async () => {
    faulty('GenerateDataKey', {
      kind: 'request',
      change: (body) => {
        const { AttestationDocument, ...others } = Object(body.Recipient);
        const document = Buffer.from(String(AttestationDocument), 'base64');
        document[700]! ^= 1;
        return { ...body, Recipient: { ...others, AttestationDocument: document.toString('base64') } };
      },
    });
    await expect(kms.generateDataKey(CONTEXT)).rejects.toMatchObject({ code: 'KMS_REFUSED' });
    lab.faults = () => undefined;
    lab.nowMs = () => Date.now() + 6 * MINUTE_MS;
    await expect(kms.generateDataKey(CONTEXT)).rejects.toMatchObject({ code: 'KMS_REFUSED' });
  });

  it.each(['AccessDeniedException', 'DisabledException', 'KMSInvalidStateException', 'NotFoundException'])(
    'attested KMS: %s is final',
    async (name) => {
      const seen = faulty('Decrypt', { kind: 'error', name, status: 400 });
      await expect(kms.decrypt(new Uint8Array(60), CONTEXT)).rejects.toMatchObject({ code: 'KMS_REFUSED' });
      expect(seen()).toBe(1);
    },
  );
});

describe('attested KMS: answers that are none', () => {
  const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
  const strangerSpki = new Uint8Array(stranger.export({ type: 'spki', format: 'der' }));

  it('attested KMS: an answer about another key is WRONG_KEY', async () => {
    faulty(
      'GenerateDataKey',
      answer((good) => ({ ...good, KeyId: otherArn })),
    );
    await expect(kms.generateDataKey(CONTEXT)).rejects.toMatchObject({ code: 'WRONG_KEY' });
    faulty(
      'GenerateDataKey',
      answer(({ KeyId: _, ...good }) => good),
    );
    await expect(kms.generateDataKey(CONTEXT)).rejects.toMatchObject({ code: 'WRONG_KEY' });
  });

  it.each<[string, Extract<Fault, { kind: 'answer' }>['change']]>([
    ['in the clear', (good) => ({ ...good, Plaintext: base64(new Uint8Array(32)) })],
    ['without a recipient', ({ CiphertextForRecipient: _, ...good }) => good],
    [
      'for another recipient',
      (good) => ({ ...good, CiphertextForRecipient: base64(sealEnvelope(strangerSpki, new Uint8Array(32))) }),
    ],
    ['that is no CMS', (good) => ({ ...good, CiphertextForRecipient: base64(new Uint8Array(400)) })],
    ['without a blob', ({ CiphertextBlob: _, ...good }) => good],
    ['with a huge blob', (good) => ({ ...good, CiphertextBlob: base64(new Uint8Array(7000)) })],
  ])('attested KMS: an answer %s is BAD_ENCODING', async (_, change) => {
    faulty('GenerateDataKey', answer(change));
    await expect(kms.generateDataKey(CONTEXT)).rejects.toMatchObject({ code: 'BAD_ENCODING' });
  });

  it('attested KMS: a data key of another length is BAD_ENCODING', async () => {
    faulty('GenerateDataKey', { kind: 'request', change: (body) => ({ ...body, NumberOfBytes: 16 }) });
    await expect(kms.generateDataKey(CONTEXT)).rejects.toMatchObject({ code: 'BAD_ENCODING' });
  });

  it('attested KMS: an answer without end is TOO_LARGE', async () => {
    faulty(
      'GenerateDataKey',
      answer((good) => ({ ...good, padding: 'x'.repeat(300_000) })),
    );
    await expect(kms.generateDataKey(CONTEXT)).rejects.toMatchObject({ code: 'TOO_LARGE' });
  });
});

describe('attested KMS: bad weather', () => {
  it.each<[string, Fault]>([
    ['throttling', { kind: 'error', name: 'ThrottlingException', status: 400 }],
    ['a failing service', { kind: 'error', name: 'KMSInternalException', status: 500 }],
    ['connections that end', { kind: 'hang-up' }],
  ])('attested KMS: %s is waited out', async (_, fault) => {
    const seen = faulty('GenerateDataKey', fault, 2);
    expect((await kms.generateDataKey(CONTEXT)).plaintext).toHaveLength(32);
    expect(seen()).toBe(3);
  });

  it.each<[string, Fault]>([
    ['throttling', { kind: 'error', name: 'ThrottlingException', status: 400 }],
    ['a failing service', { kind: 'error', name: 'ServiceUnavailable', status: 503 }],
    ['answers that take too long', { kind: 'slow', ms: 30_000 }],
  ])('attested KMS: %s without end is KMS_UNAVAILABLE, in time', async (_, fault) => {
    const seen = faulty('GenerateDataKey', fault);
    const impatient = await other({ patience: IMPATIENCE });
    const startMs = performance.now();
    await expect(impatient.generateDataKey(CONTEXT)).rejects.toMatchObject({ code: 'KMS_UNAVAILABLE' });
    expect(seen()).toBeGreaterThan(0);
    expect(performance.now() - startMs).toBeLessThan(10 * IMPATIENCE.totalMs);
    impatient.close();
  });

  it('attested KMS: a slow answer that comes after a repetition is not waited for', async () => {
    faulty('GenerateDataKey', { kind: 'slow', ms: 30_000 }, 1);
    const again = await other({ patience: { totalMs: 25_000, attemptMs: 2_000 } });
    expect((await again.generateDataKey(CONTEXT)).plaintext).toHaveLength(32);
    again.close();
  });

  it('attested KMS: a parent that lends nothing or hangs is KMS_UNAVAILABLE', async () => {
    const hanging = await other({ credentials: () => new Promise(() => {}), patience: IMPATIENCE });
    await expect(hanging.generateDataKey(CONTEXT)).rejects.toMatchObject({ code: 'KMS_UNAVAILABLE' });
    hanging.close();
  });
});

describe('attested KMS: lent credentials', () => {
  it('attested KMS: credentials that end in the middle are renewed, once each', async () => {
    const old = principal(ROLE, { sessionToken: 'b2xk', expiresMs: Date.now() - 1 });
    lab.principals.add(old);
    let asked = 0;
    const lent = [old, lab.node];
    // The parent does not say when the first ones end.
    const { expiresMs: _, ...first } = credentialsOf(old);
    const renewing = await other({
      credentials: async () => (asked++ === 0 ? first : credentialsOf(lent[1]!)),
    });
    expect((await renewing.generateDataKey(CONTEXT)).plaintext).toHaveLength(32);
    expect((await renewing.generateDataKey(CONTEXT)).plaintext).toHaveLength(32);
    expect(asked).toBe(2);
    renewing.close();
  });

  it('attested KMS: credentials are renewed before they end', async () => {
    let asked = 0;
    const ending = await other({
      credentials: async () => ({
        ...credentialsOf(lab.node),
        expiresMs: Date.now() + (asked++ === 0 ? 30_000 : 3_600_000),
      }),
    });
    for (let i = 0; i < 3; i++) await ending.generateDataKey(CONTEXT);
    expect(asked).toBe(2);
    ending.close();
  });

  it('attested KMS: credentials that stay refused are KMS_REFUSED', async () => {
    for (const bad of [
      { ...credentialsOf(lab.node), secretAccessKey: 'x'.repeat(40) },
      { ...credentialsOf(lab.node), sessionToken: 'eHh4' },
      { ...credentialsOf(lab.node), accessKeyId: 'AKIAXXXXXXXXXXXXXXXX' },
    ]) {
      const refused = await other({ credentials: async () => bad });
      await expect(refused.generateDataKey(CONTEXT)).rejects.toMatchObject({ code: 'KMS_REFUSED' });
      refused.close();
    }
  });

  it('attested KMS: what are no credentials is BAD_INPUT', async () => {
    for (const bad of [{ accessKeyId: 'a\r\nx: y' }, { sessionToken: 'a b' }, { secretAccessKey: '' }]) {
      const refused = await other({ credentials: async () => ({ ...credentialsOf(lab.node), ...bad }) });
      await expect(refused.generateDataKey(CONTEXT)).rejects.toMatchObject({ code: 'BAD_INPUT' });
      refused.close();
    }
  });
});
