import { createServer } from 'node:https';
import { connect } from 'node:net';
import { CreateGrantCommand, GenerateDataKeyCommand, PutKeyPolicyCommand } from '@aws-sdk/client-kms';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type * as Attested from '../../../enclave/aws/attested-kms.ts';
import { readEnvelope } from '../../../enclave/aws/cms.ts';
import { issueEndpointCertificate } from '../../../infra/local/aws/endpoint-certificate.ts';
import { sealEnvelope, writeEnvelope } from '../../../infra/local/kms/envelope.ts';
import type { Fault } from '../../../infra/local/kms/faults.ts';
import type { Answer } from '../../../infra/local/kms/key-ring.ts';
import { parseUnverifiedDocument } from '../../../shared/attestation/document.ts';
import { type KeyArn, kmsHost } from '../../../shared/sealing/key-arn.ts';
import { keyPolicy } from '../../../shared/sealing/kms-policy.ts';
import { ACCOUNT, CONTEXT, KmsLab, OWNER, REGION } from '../../simulator/kms.ts';
import { attackBoth, type Edit } from '../mutant.ts';

const FILE = 'enclave/aws/attested-kms.ts';
const CMS = 'enclave/aws/cms.ts';
let lab: KmsLab;
let key: KeyArn;

beforeAll(async () => {
  lab = await KmsLab.start();
  key = await lab.createKey();
});
afterEach(() => {
  lab.faults = () => undefined;
});
afterAll(() => lab[Symbol.asyncDispose]());

/** @param act resolves if the enclave was deceived */
async function attack(
  name: string,
  edits: readonly Edit[],
  act: (kms: Attested.AttestedKms) => Promise<unknown>,
  change: Parameters<KmsLab['options']>[1] = {},
  of: KeyArn = key,
): Promise<void> {
  const outcome = await attackBoth(`attested-kms-${name}`, edits, async (load) => {
    const { openAttestedKms } = await load<typeof Attested>(FILE);
    const patience = { totalMs: 20_000, attemptMs: 10_000 };
    const kms = await openAttestedKms({ ...lab.options(of, change), patience });
    return act(kms)
      .then(
        () => true,
        () => false,
      )
      .finally(() => kms.close());
  });
  expect(outcome).toEqual({ withRule: false, withoutRule: true });
}

function answering(operation: string, change: (answer: Answer) => Answer): void {
  const fault: Fault = { kind: 'answer', change };
  lab.faults = (name) => (name === operation ? fault : undefined);
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const generate = (kms: Attested.AttestedKms): Promise<unknown> => kms.generateDataKey(CONTEXT);

describe('answers of KMS under attack', () => {
  it('attested KMS: an answer about another key', async () => {
    const digit = key.arn.endsWith('0') ? '1' : '0';
    answering('GenerateDataKey', (good) => ({ ...good, KeyId: `${key.arn.slice(0, -1)}${digit}` }));
    const find =
      "if (key !== this.#options.key.arn) throw new KmsError('WRONG_KEY', 'KMS answers about another key');";
    await attack('key', [{ file: FILE, find, replace: '' }], generate);
  });

  it('attested KMS: a data key that also comes in the clear', async () => {
    answering('GenerateDataKey', (good) => ({ ...good, Plaintext: base64(new Uint8Array(32)) }));
    const find = 'if (Plaintext !== undefined && Plaintext.length > 0)';
    await attack('clear', [{ file: FILE, find, replace: 'if (false)' }], generate);
  });

  it('attested KMS: a short data key', async () => {
    lab.faults = (name) =>
      name === 'GenerateDataKey'
        ? { kind: 'request', change: (body) => ({ ...body, NumberOfBytes: 1 }) }
        : undefined;
    const find = 'if (plaintext.length === DATA_KEY_BYTES) return plaintext;';
    await attack('short', [{ file: FILE, find, replace: 'return plaintext;' }], generate);
  });

  it('attested KMS: a message for another recipient', async () => {
    answering('GenerateDataKey', (good) => {
      const parts = readEnvelope(Buffer.from(String(good.CiphertextForRecipient), 'base64'));
      const recipient = new Uint8Array(32);
      return { ...good, CiphertextForRecipient: base64(writeEnvelope({ ...parts, recipient })) };
    });
    const find = 'if (!equalBytes(recipient, key.identifier))';
    await attack('recipient', [{ file: CMS, find, replace: 'if (false)' }], generate);
  });

  it('attested KMS: bytes behind the message', async () => {
    answering('GenerateDataKey', (good) => {
      const message = Buffer.from(String(good.CiphertextForRecipient), 'base64');
      return { ...good, CiphertextForRecipient: base64(Buffer.concat([message, message])) };
    });
    await attack('trailing', [{ file: CMS, find: 'ber.end();', replace: '' }], generate);
  });

  it('attested KMS: a data key of the parent, encrypted to the right key', async () => {
    // The parent knows the public key and writes the answer itself: only TLS keeps it from being heard.
    const certificate = await issueEndpointCertificate('lab', [kmsHost(REGION)]);
    const parent = createServer(certificate, (request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const { Recipient } = JSON.parse(Buffer.concat(parts).toString('utf8'));
        const body = JSON.stringify({
          KeyId: key.arn,
          CiphertextBlob: 'AAAA',
          CiphertextForRecipient: forged(Recipient),
        });
        response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' }).end(body);
      });
    });
    const port = await new Promise<number>((resolve) => {
      parent.listen(0, '127.0.0.1', () => {
        const address = parent.address();
        resolve(typeof address === 'object' ? (address?.port ?? 0) : 0);
      });
    });
    const ours = { connect: async () => connect(port, '127.0.0.1').on('error', () => {}) };
    const edits = [
      {
        file: 'enclave/aws/endpoint.ts',
        find: 'rejectUnauthorized: true',
        replace: 'rejectUnauthorized: false',
      },
      { file: 'enclave/aws/endpoint.ts', find: 'if (socket.authorized)', replace: 'if (true)' },
    ];
    await attack('parent', edits, generate, ours);
    parent.closeAllConnections();
    parent.close();
  });
});

/** An answer by somebody who has read the request and knows the data key: he chose it. */
function forged(recipient: { readonly AttestationDocument: string }): string {
  const document = parseUnverifiedDocument(Buffer.from(recipient.AttestationDocument, 'base64'));
  return base64(sealEnvelope(document.publicKey ?? new Uint8Array(), new Uint8Array(32).fill(7)));
}

describe('the key under attack', () => {
  const inspect = async (kms: Attested.AttestedKms): Promise<void> =>
    kms.inspectPolicy(await lab.expectation());

  /** A key that was open once, and has the right policy now. */
  async function reformed(meanwhile: (of: KeyArn) => Promise<unknown>): Promise<KeyArn> {
    const root = {
      Sid: 'Root',
      Effect: 'Allow',
      Principal: { AWS: OWNER.arn },
      Action: 'kms:*',
      Resource: '*',
    };
    const of = await lab.createKey(JSON.stringify({ Version: '2012-10-17', Statement: [root] }));
    await meanwhile(of);
    const owner = lab.client(OWNER);
    const Policy = JSON.stringify(keyPolicy(ACCOUNT, { ...(await lab.expectation()), operators: [] }));
    await owner.send(
      new PutKeyPolicyCommand({ KeyId: of.arn, Policy, BypassPolicyLockoutSafetyCheck: true }),
    );
    owner.destroy();
    return of;
  }

  it('inspection: a grant', async () => {
    const owner = lab.client(OWNER);
    const of = await reformed((one) =>
      owner.send(
        new CreateGrantCommand({ KeyId: one.arn, GranteePrincipal: OWNER.arn, Operations: ['Decrypt'] }),
      ),
    );
    owner.destroy();
    const find = 'if (Grants?.length !== 0 || Truncated === true || NextMarker !== undefined)';
    await attack('grant', [{ file: FILE, find, replace: 'if (false)' }], inspect, {}, of);
  });

  it('inspection: a policy that leaves the key to the account', async () => {
    const root = {
      Sid: 'Root',
      Effect: 'Allow',
      Principal: { AWS: OWNER.arn },
      Action: 'kms:*',
      Resource: '*',
    };
    const of = await lab.createKey(JSON.stringify({ Version: '2012-10-17', Statement: [root] }));
    lab.principals.add({ ...lab.node, iamActions: ['kms:*'] });
    const find = "checkKeyPolicy(Policy ?? '', key.account, expected);";
    await attack('policy', [{ file: FILE, find, replace: '' }], inspect, {}, of);
    lab.principals.add(lab.node);
    // What it would have cost: the owner's own data key, in the clear.
    const owner = lab.client(OWNER);
    const answer = await owner.send(new GenerateDataKeyCommand({ KeyId: of.arn, KeySpec: 'AES_256' }));
    expect(answer.Plaintext).toHaveLength(32);
    owner.destroy();
  });

  it('inspection: a key whose material somebody imported', async () => {
    answering('DescribeKey', ({ KeyMetadata }) => ({
      KeyMetadata: { ...Object(KeyMetadata), Origin: 'EXTERNAL' },
    }));
    await attack('state', [{ file: FILE, find: 'checkKeyState(KeyMetadata, key);', replace: '' }], inspect);
  });
});
