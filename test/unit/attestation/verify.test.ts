import { beforeAll, describe, expect, it } from 'vitest';
import type { CborValue } from '../../../shared/attestation/cbor.ts';
import { readCbor } from '../../../shared/attestation/cbor.ts';
import { writeCbor } from '../../../shared/attestation/cbor-writer.ts';
import { ChainCache } from '../../../shared/attestation/chain-cache.ts';
import { parseUnverifiedSign1, writeSign1 } from '../../../shared/attestation/cose.ts';
import { MAX_DOCUMENT_BYTES, parseUnverifiedDocument } from '../../../shared/attestation/document.ts';
import type { AttestationPolicy } from '../../../shared/attestation/policy.ts';
import { verifyDocument } from '../../../shared/attestation/verify.ts';
import type { ErrorCode } from '../../../shared/errors.ts';
import { digest } from '../../../shared/ids.ts';
import { concat } from '../../../shared/wire/bytes.ts';
import {
  bound,
  ForgedModule,
  type Forgery,
  goodPolicy,
  HOUR_MS,
  measurement,
  NOW_MS,
  networkId,
  pcrs,
  sha384,
} from './forge.ts';

let module: ForgedModule;
let document: Uint8Array;
let policy: AttestationPolicy;

beforeAll(async () => {
  module = await ForgedModule.make();
  document = await module.document();
  policy = goodPolicy(module);
});

const refused = (code: ErrorCode) => expect.objectContaining({ code });

function verify(bytes: Uint8Array, changes: Partial<AttestationPolicy> = {}, nowMs = NOW_MS) {
  return verifyDocument(bytes, { ...policy, ...changes }, nowMs);
}

async function expectRefusal(
  bytes: Uint8Array,
  code: ErrorCode,
  changes: Partial<AttestationPolicy> = {},
  nowMs = NOW_MS,
): Promise<void> {
  await expect(verify(bytes, changes, nowMs)).rejects.toEqual(refused(code));
}

/** The same COSE structure with one of its four items replaced. */
function withItem(index: number, item: CborValue): Uint8Array {
  const items = readCbor(document);
  if (!Array.isArray(items)) throw new Error('no array');
  return writeCbor(items.with(index, item));
}

describe('attestation', () => {
  it('attestation: a good document verifies and gives its claims', async () => {
    const verified = await verify(document);
    expect(verified).toEqual(parseUnverifiedDocument(document));
    expect(verified).toMatchObject({ ...bound, timestampMs: NOW_MS, pcrs: new Map(pcrs) });
  });

  it('attestation: every single changed byte is refused', async () => {
    const step = 13;
    for (let at = 0; at < document.length; at += step) {
      const bytes = document.slice();
      bytes[at]! ^= 1;
      await expect(verify(bytes), `byte ${at}`).rejects.toMatchObject({
        code: expect.stringMatching(/^BAD_(ENCODING|ATTESTATION)$/),
      });
    }
  });

  it('attestation: every truncation and any extra byte is BAD_ENCODING', async () => {
    for (let size = 0; size < document.length; size += 97) {
      await expectRefusal(document.subarray(0, size), 'BAD_ENCODING');
    }
    await expectRefusal(document.subarray(0, -1), 'BAD_ENCODING');
    await expectRefusal(concat(document, new Uint8Array(1)), 'BAD_ENCODING');
  });

  it('attestation: a document above the limit is TOO_LARGE before anything is read', async () => {
    await expectRefusal(new Uint8Array(MAX_DOCUMENT_BYTES + 1), 'TOO_LARGE');
    expect(() => parseUnverifiedDocument(new Uint8Array(MAX_DOCUMENT_BYTES + 1))).toThrow(
      refused('TOO_LARGE'),
    );
  });
});

describe('COSE', () => {
  it.each<[string, () => Uint8Array]>([
    ['a tag', () => concat(Uint8Array.of(0xd2), document)],
    ['another algorithm', () => withItem(0, writeCbor(new Map([[1, -7]])))],
    ['an empty protected header', () => withItem(0, new Uint8Array(0))],
    ['a further protected header', () => withItem(0, writeCbor(new Map([[1, -35], [4, 0]])))], // biome-ignore format: short.
    ['a header in another form', () => withItem(0, Uint8Array.of(0xa1, 0x01, 0x39, 0x00, 0x22))],
    ['an unprotected header', () => withItem(1, new Map([[4, Uint8Array.of(1)]]))],
    ['an unprotected header that is no map', () => withItem(1, [])],
    ['a detached payload', () => withItem(2, null)],
    ['a signature in DER', () => withItem(3, new Uint8Array(104))],
    ['a short signature', () => withItem(3, new Uint8Array(95))],
    ['three items', () => writeCbor([new Uint8Array(0), new Map(), new Uint8Array(0)])],
    ['no array', () => writeCbor(new Map())],
    ['a fifth item', () => concat(Uint8Array.of(0x85), document.subarray(1), Uint8Array.of(0))],
  ])('COSE: %s is BAD_ENCODING', async (_, bytes) => {
    await expectRefusal(bytes(), 'BAD_ENCODING');
  });

  it('COSE: a signature by another key, of zeros, or over another payload is BAD_ATTESTATION', async () => {
    const other = await ForgedModule.make({ chain: ['root', 'leaf'] });
    await expectRefusal(await module.document({}, other.leaf.keys), 'BAD_ATTESTATION');
    const { payload, signature } = parseUnverifiedSign1(document);
    await expectRefusal(writeSign1({ payload, signature: new Uint8Array(96) }), 'BAD_ATTESTATION');
    const later = parseUnverifiedSign1(await module.document({ timestamp: NOW_MS + 1 })).payload;
    await expectRefusal(writeSign1({ payload: later, signature }), 'BAD_ATTESTATION');
  });
});

describe('payload', () => {
  it.each<[string, { readonly [name: string]: CborValue | undefined }]>([
    ['no module', { module_id: undefined }],
    ['an empty module', { module_id: '' }],
    ['no digest', { digest: undefined }],
    ['another digest', { digest: 'SHA256' }],
    ['no time', { timestamp: undefined }],
    ['a time of zero', { timestamp: 0 }],
    ['a time that is text', { timestamp: '1' }],
    ['no registers', { pcrs: undefined }],
    ['an empty map of registers', { pcrs: new Map() }],
    ['a register beyond 31', { pcrs: new Map([...pcrs, [32, new Uint8Array(48)]]) }],
    ['a negative register', { pcrs: new Map([...pcrs, [-1, new Uint8Array(48)]]) }],
    ['a register of another hash', { pcrs: new Map([...pcrs, [4, new Uint8Array(32)]]) }],
    ['no certificate', { certificate: undefined }],
    ['an empty certificate', { certificate: new Uint8Array(0) }],
    ['a certificate above 1024 bytes', { certificate: new Uint8Array(1025) }],
    ['no bundle', { cabundle: undefined }],
    ['an empty bundle', { cabundle: [] }],
    ['a bundle of texts', { cabundle: ['a'] }],
    ['a bundle that is too long', { cabundle: Array.from({ length: 9 }, () => new Uint8Array(1)) }],
    ['a public key above 1024 bytes', { public_key: new Uint8Array(1025) }],
    ['user data above 512 bytes', { user_data: new Uint8Array(513) }],
    ['a nonce above 512 bytes', { nonce: new Uint8Array(513) }],
    ['a nonce that is text', { nonce: 'nonce' }],
    ['an unknown field', { extra: 1 }],
  ])('payload: %s is BAD_ENCODING though signed', async (_, changes) => {
    await expectRefusal(await module.document(changes), 'BAD_ENCODING');
  });

  it('payload: a duplicate key or loose CBOR is BAD_ENCODING though signed', async () => {
    const { payload } = parseUnverifiedSign1(document);
    const [head, ...fields] = payload;
    const duplicate = concat(
      Uint8Array.of(head! + 1),
      Uint8Array.from(fields),
      writeCbor('digest'),
      writeCbor('SHA384'),
    );
    await expectRefusal(await module.sign(duplicate), 'BAD_ENCODING');
    const indefinite = concat(Uint8Array.of(0xbf), Uint8Array.from(fields), Uint8Array.of(0xff));
    await expectRefusal(await module.sign(indefinite), 'BAD_ENCODING');
    await expectRefusal(await module.sign(concat(payload, Uint8Array.of(0))), 'BAD_ENCODING');
    await expectRefusal(await module.sign(writeCbor([])), 'BAD_ENCODING');
  });

  it('payload: absent and null optional fields are the same', async () => {
    const unchecked = { publicKey: 'unchecked', userData: 'unchecked' } as const;
    for (const nothing of [undefined, null]) {
      const bytes = await module.document({ public_key: nothing, user_data: nothing });
      expect(await verify(bytes, unchecked)).toMatchObject({ publicKey: undefined, userData: undefined });
      await expectRefusal(bytes, 'BAD_ATTESTATION');
    }
  });
});

describe('chain', () => {
  const day = 24 * HOUR_MS;

  it.each<[string, Forgery, ErrorCode]>([
    ['a forged certificate', { strangers: ['host'] }, 'BAD_ATTESTATION'],
    ['a forged leaf', { strangers: ['leaf'] }, 'BAD_ATTESTATION'],
    ['an issuer without the CA flag', { terms: { zone: { isCa: false } } }, 'BAD_ENCODING'],
    ['an issuer that is no authority', { terms: { host: { without: ['constraints'] } } }, 'BAD_ATTESTATION'],
    ['an issuer without key usage', { terms: { host: { without: ['usage'] } } }, 'BAD_ATTESTATION'],
    ['an issuer that may not sign certificates', { terms: { host: { usage: 1 } } }, 'BAD_ATTESTATION'],
    ['a leaf that may not sign data', { terms: { leaf: { usage: 1 << 2 } } }, 'BAD_ATTESTATION'],
    ['a leaf without key usage', { terms: { leaf: { without: ['usage'] } } }, 'BAD_ATTESTATION'],
    ['a leaf that is an authority', { terms: { leaf: { isCa: true } } }, 'BAD_ATTESTATION'],
    ['more issuers than permitted', { terms: { region: { pathLength: 1 } } }, 'BAD_ATTESTATION'],
    ['an issuer below the last', { terms: { zone: { pathLength: 0 } } }, 'BAD_ATTESTATION'],
    ['another issuer name', { terms: { host: { issuer: 'CN=other' } } }, 'BAD_ATTESTATION'],
    ['an expired issuer', { terms: { zone: { untilMs: NOW_MS - HOUR_MS / 2 } } }, 'BAD_ATTESTATION'],
    ['an expired leaf', { terms: { leaf: { untilMs: NOW_MS - 120_000 } } }, 'BAD_ATTESTATION'],
    ['an issuer that is not valid yet', { terms: { host: { fromMs: NOW_MS + 120_000 } } }, 'BAD_ATTESTATION'],
    ['a leaf on another curve', { terms: { leaf: { curve: 'P-256' } } }, 'BAD_ENCODING'],
    ['an issuer on another curve', { terms: { host: { curve: 'P-256' } } }, 'BAD_ENCODING'],
    ['a signature with another hash', { terms: { host: { hash: 'SHA-256' } } }, 'BAD_ENCODING'],
  ])('chain: %s is refused', async (_, forgery, code) => {
    const forged = await ForgedModule.make({ ...forgery, root: module.root });
    // A leaf on another curve cannot sign the document: that it is refused before then is the point.
    const signer = forgery.terms?.leaf?.curve === undefined ? forged.leaf.keys : module.leaf.keys;
    await expectRefusal(await forged.document({}, signer), code);
  });

  it('chain: the same issuance without a deviation is accepted', async () => {
    const again = await ForgedModule.make({ root: module.root });
    await verify(await again.document());
    const short = await ForgedModule.make({
      root: module.root,
      chain: ['root', 'leaf'],
      terms: { leaf: { issuer: 'CN=root' } },
    });
    await verify(await short.document());
  });

  it('chain: a foreign root is refused, also under the name of the pinned one and beside it', async () => {
    const foreign = await ForgedModule.make();
    await expectRefusal(await foreign.document(), 'BAD_ATTESTATION');
    const bundle = [module.root.der, ...foreign.chain.slice(0, -1).map(({ der }) => der)];
    await expectRefusal(await foreign.document({ cabundle: bundle }), 'BAD_ATTESTATION');
    const replaced = [module.root.der, ...foreign.chain.slice(1, -1).map(({ der }) => der)];
    await expectRefusal(await foreign.document({ cabundle: replaced }), 'BAD_ATTESTATION');
  });

  it('chain: a missing, doubled or reordered certificate is refused', async () => {
    const bundle = module.chain.slice(0, -1).map(({ der }) => der);
    const [root, region, zone, host] = bundle as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
    for (const cabundle of [
      [root, region, zone],
      [root, zone, host],
      [root, zone, region, host],
      [root, region, region, zone, host],
      [region, zone, host],
      [root],
    ]) {
      await expectRefusal(await module.document({ cabundle }), 'BAD_ATTESTATION');
    }
    await expectRefusal(await module.document({ certificate: host }), 'BAD_ATTESTATION');
    await expectRefusal(await module.document({ certificate: root, cabundle: [root] }), 'BAD_ATTESTATION');
  });

  it("chain: validity is checked at the document's time and at the verifier's", async () => {
    const age = { freshness: { kind: 'age', maxAgeMs: 10 * day } } as const;
    await verify(document, age, NOW_MS + 2 * HOUR_MS + 60_000);
    await expectRefusal(document, 'BAD_ATTESTATION', age, NOW_MS + 2 * HOUR_MS + 62_000);
    const early = await module.document({ timestamp: NOW_MS - HOUR_MS - 1 });
    await expectRefusal(early, 'BAD_ATTESTATION', age);
    await verify(await module.document({ timestamp: NOW_MS - HOUR_MS }), age);
    const late = await module.document({ timestamp: NOW_MS + 2 * HOUR_MS + 1000 });
    await expectRefusal(late, 'BAD_ATTESTATION', age, NOW_MS + 2 * HOUR_MS + 1000);
  });
});

describe('policy', () => {
  const other = { ...measurement, pcr0: new Uint8Array(48).fill(5) };
  const registers = (changes: readonly (readonly [number, Uint8Array])[]): CborValue =>
    new Map([...pcrs, ...changes]);

  it.each<[string, Partial<AttestationPolicy>]>([
    ['no measurement', { measurements: [] }],
    ['no root', { roots: [] }],
    ['a measurement of zeros', { measurements: [{ ...measurement, pcr1: new Uint8Array(48) }] }],
    ['a PCR8 of zeros', { measurements: [{ ...measurement, pcr8: new Uint8Array(48) }] }],
    ['a short register', { measurements: [{ ...measurement, pcr2: new Uint8Array(32).fill(3) }] }],
    ['one bad measurement among good ones', { measurements: [measurement, { ...measurement, pcr0: new Uint8Array(48) }] }], // biome-ignore format: short.
    ['a short nonce', { freshness: { kind: 'nonce', nonce: new Uint8Array(15) } }],
    ['an endless age', { freshness: { kind: 'age', maxAgeMs: Number.POSITIVE_INFINITY } }],
    ['an age that is no number', { freshness: { kind: 'age', maxAgeMs: Number.NaN } }],
    ['an endless skew', { maxSkewMs: Number.POSITIVE_INFINITY }],
    ['an empty key', { publicKey: new Uint8Array(0) }],
    ['empty user data', { userData: new Uint8Array(0) }],
  ])('policy: %s is BAD_INPUT, whatever the document', async (_, changes) => {
    await expectRefusal(document, 'BAD_INPUT', changes);
  });

  it('policy: only listed images are accepted', async () => {
    await verify(document, { measurements: [other, measurement] });
    await expectRefusal(document, 'BAD_ATTESTATION', { measurements: [other] });
    for (const name of ['pcr0', 'pcr1', 'pcr2'] as const) {
      const wrong = { ...measurement, [name]: new Uint8Array(48).fill(99) };
      await expectRefusal(document, 'BAD_ATTESTATION', { measurements: [wrong] });
    }
  });

  it('policy: a signed image also needs its PCR8', async () => {
    const pcr8 = new Uint8Array(48).fill(4);
    const measurements = [{ ...measurement, pcr8 }];
    await expectRefusal(document, 'BAD_ATTESTATION', { measurements });
    await verify(await module.document({ pcrs: registers([[8, pcr8]]) }), { measurements });
  });

  it('policy: a debug enclave, whose registers are zeros or missing, is refused', async () => {
    const zeros = new Uint8Array(48);
    for (const index of [0, 1, 2]) {
      await expectRefusal(await module.document({ pcrs: registers([[index, zeros]]) }), 'BAD_ATTESTATION');
      const without = new Map([...pcrs].filter(([i]) => i !== index));
      await expectRefusal(await module.document({ pcrs: without }), 'BAD_ATTESTATION');
    }
  });

  it('policy: the enclave is bound to the network by a locked PCR16', async () => {
    const another = digest(`${networkId.slice(0, 8)}${'cd'.repeat(28)}`);
    await expectRefusal(document, 'BAD_ATTESTATION', { networkId: another });
    await verify(document, { networkId: 'unchecked' });
    const unlocked = new Map([...pcrs].filter(([index]) => index !== 16));
    await expectRefusal(await module.document({ pcrs: unlocked }), 'BAD_ATTESTATION');
    const twice = sha384(pcrs.get(16)!, Buffer.from(networkId, 'hex'));
    await expectRefusal(await module.document({ pcrs: registers([[16, twice]]) }), 'BAD_ATTESTATION');
  });

  it.each(['mock', 'lab'] as const)(
    'policy: a %s root has no place in a production network',
    async (kind) => {
      await expectRefusal(document, 'BAD_ATTESTATION', { roots: [{ ...module.pinned, class: kind }] });
    },
  );

  it('policy: a production root has no place in a mock or lab network, and an id without class in none', async () => {
    for (const tag of ['mock', 'lab\0', 'none']) {
      const id = digest(Buffer.from(tag).toString('hex') + 'ab'.repeat(28));
      const pcr16 = sha384(new Uint8Array(48), Buffer.from(id, 'hex'));
      const bytes = await module.document({ pcrs: registers([[16, pcr16]]) });
      await expectRefusal(bytes, 'BAD_ATTESTATION', { networkId: id });
    }
    const id = digest(Buffer.from('mock').toString('hex') + 'ab'.repeat(28));
    const pcr16 = sha384(new Uint8Array(48), Buffer.from(id, 'hex'));
    const bytes = await module.document({ pcrs: registers([[16, pcr16]]) });
    await verify(bytes, { networkId: id, roots: [{ ...module.pinned, class: 'mock' }] });
  });

  it('policy: a replay answers another nonce and is refused', async () => {
    const fresh = { freshness: { kind: 'nonce', nonce: new Uint8Array(32).fill(70) } } as const;
    await expectRefusal(document, 'BAD_ATTESTATION', fresh);
    await expectRefusal(await module.document({ nonce: null }), 'BAD_ATTESTATION');
    await expectRefusal(await module.document({ nonce: bound.nonce.subarray(1) }), 'BAD_ATTESTATION');
  });

  it('policy: by age, a stale document and one from the future are refused', async () => {
    const age = { freshness: { kind: 'age', maxAgeMs: 300_000 } } as const;
    await verify(document, age, NOW_MS + 300_000);
    await expectRefusal(document, 'BAD_ATTESTATION', age, NOW_MS + 300_001);
    await verify(document, age, NOW_MS - 60_000);
    await expectRefusal(document, 'BAD_ATTESTATION', age, NOW_MS - 60_001);
    await expectRefusal(document, 'BAD_ATTESTATION', {}, NOW_MS - 60_001);
  });

  it('policy: the right document for another key, node, network or role is refused', async () => {
    await expectRefusal(document, 'BAD_ATTESTATION', { publicKey: new Uint8Array(91).fill(80) });
    await expectRefusal(document, 'BAD_ATTESTATION', { publicKey: bound.publicKey.subarray(1) });
    await expectRefusal(document, 'BAD_ATTESTATION', { userData: new Uint8Array(32).fill(90) });
  });
});

describe('chain cache', () => {
  it('chain cache: gives the same verdicts, and keeps nothing that failed', async () => {
    const cache = new ChainCache();
    for (let i = 0; i < 2; i++) await verifyDocument(document, policy, NOW_MS, cache);
    expect(cache.size).toBe(1);
    const forged = await ForgedModule.make({ root: module.root, strangers: ['host'] });
    for (let i = 0; i < 2; i++) {
      await expect(verifyDocument(await forged.document(), policy, NOW_MS, cache)).rejects.toEqual(
        refused('BAD_ATTESTATION'),
      );
    }
    expect(cache.size).toBe(1);
  });

  it('chain cache: dates, root, signature and policy are checked for a known chain too', async () => {
    const cache = new ChainCache();
    await verifyDocument(document, policy, NOW_MS, cache);
    const tries: readonly [Uint8Array, Partial<AttestationPolicy>, number][] = [
      [document, { freshness: { kind: 'age', maxAgeMs: 10 * HOUR_MS } }, NOW_MS + 3 * HOUR_MS],
      [document, { roots: [(await ForgedModule.make({ chain: ['root', 'leaf'] })).pinned] }, NOW_MS],
      [await module.document({}, (await ForgedModule.make()).leaf.keys), {}, NOW_MS],
      [document, { publicKey: new Uint8Array(3) }, NOW_MS],
    ];
    for (const [bytes, changes, nowMs] of tries) {
      await expect(verifyDocument(bytes, { ...policy, ...changes }, nowMs, cache)).rejects.toEqual(
        refused('BAD_ATTESTATION'),
      );
    }
  });

  it('chain cache: holds a bounded number, the least recently used goes first', async () => {
    const cache = new ChainCache(2);
    const leafKey = await crypto.subtle
      .generateKey({ name: 'ECDSA', namedCurve: 'P-384' }, false, ['sign', 'verify'])
      .then(({ publicKey }) => publicKey);
    const chain = { leafKey, notBeforeMs: 0, notAfterMs: 1 };
    cache.set('a', chain);
    cache.set('b', chain);
    cache.get('a');
    cache.set('c', chain);
    expect([cache.size, cache.get('a'), cache.get('b'), cache.get('c')]).toEqual([
      2,
      chain,
      undefined,
      chain,
    ]);
  });
});
