import { createDecipheriv, createHmac, randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { ml_kem768_x25519 as Oracle } from '@noble/post-quantum/hybrid.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { codeOf } from '../../../shared/errors.ts';
import {
  ENCAPSULATION_BYTES,
  generateUserKey,
  HPKE_OVERHEAD_BYTES,
  open,
  seal,
} from '../../../shared/protocol/user-decryption/hpke.ts';
import { UserPrivateKey } from '../../../shared/protocol/user-decryption/user-key.ts';
import { concat, toHex, utf8 } from '../../../shared/wire/bytes.ts';

const rng = (sizeBytes: number): Uint8Array => new Uint8Array(randomBytes(sizeBytes));
const info = utf8('info');
const aad = utf8('aad');
const user = await generateUserKey(rng);
const codeFrom = (work: Promise<unknown>): Promise<string> => work.then(() => 'none', codeOf);

/** RFC 9180 sections 4 and 5.1, written once more from the text on HMAC alone. */
function oracleKeySchedule(
  sharedSecret: Uint8Array,
  context: Uint8Array,
): { key: Uint8Array; nonce: Uint8Array } {
  const suiteId = concat(utf8('HPKE'), Uint8Array.of(0x64, 0x7a, 0, 1, 0, 2));
  const hmac = (key: Uint8Array, data: Uint8Array): Uint8Array =>
    new Uint8Array(createHmac('sha256', key).update(data).digest());
  const extract = (salt: Uint8Array, label: string, ikm: Uint8Array): Uint8Array =>
    hmac(salt, concat(utf8('HPKE-v1'), suiteId, utf8(label), ikm));
  const expand = (prk: Uint8Array, label: string, data: Uint8Array, size: number): Uint8Array => {
    const labeled = concat(Uint8Array.of(0, size), utf8('HPKE-v1'), suiteId, utf8(label), data);
    return hmac(prk, concat(labeled, Uint8Array.of(1))).slice(0, size);
  };
  const none = new Uint8Array(0);
  const schedule = concat(
    Uint8Array.of(0),
    extract(none, 'psk_id_hash', none),
    extract(none, 'info_hash', context),
  );
  const secret = extract(sharedSecret, 'secret', none);
  return { key: expand(secret, 'key', schedule, 32), nonce: expand(secret, 'base_nonce', schedule, 12) };
}

describe('hpke', () => {
  it('seal: opens to the plaintext for any info, aad and plaintext', async () => {
    const bytes = fc.uint8Array({ maxLength: 200 });
    await fc.assert(
      fc.asyncProperty(bytes, bytes, bytes, async (context, data, plaintext) => {
        const sealed = await seal(user.publicKey, context, data, plaintext, rng);
        expect(sealed.length).toBe(plaintext.length + HPKE_OVERHEAD_BYTES);
        expect(toHex(await open(user.privateKey, context, data, sealed))).toBe(toHex(plaintext));
      }),
      { numRuns: 10 },
    );
  });

  it('seal: an independent X-Wing and key schedule open it', async () => {
    const plaintext = rng(100);
    const sealed = await seal(user.publicKey, info, aad, plaintext, rng);
    const sharedSecret = user.privateKey.use((seed) =>
      Oracle.decapsulate(sealed.subarray(0, ENCAPSULATION_BYTES), seed),
    );
    const { key, nonce } = oracleKeySchedule(sharedSecret, info);
    const cipher = createDecipheriv('aes-256-gcm', key, nonce).setAAD(aad).setAuthTag(sealed.subarray(-16));
    const opened = concat(cipher.update(sealed.subarray(ENCAPSULATION_BYTES, -16)), cipher.final());
    expect(toHex(opened)).toBe(toHex(plaintext));
  });

  it('generateUserKey: agrees with an independent X-Wing', () => {
    const publicKey = user.privateKey.use((seed) => Oracle.getPublicKey(seed));
    expect(toHex(publicKey)).toBe(toHex(user.publicKey));
  });

  it('seal: takes all its randomness from the given source', async () => {
    const fixed = (sizeBytes: number): Uint8Array => new Uint8Array(sizeBytes).fill(7);
    const [first, second] = await Promise.all(
      [1, 2].map(() => seal(user.publicKey, info, aad, utf8('same'), fixed)),
    );
    expect(first).toEqual(second);
    expect(await seal(user.publicKey, info, aad, utf8('same'), rng)).not.toEqual(first);
  });

  it('open: refuses every single flipped bit class, other info, other aad, another key', async () => {
    const sealed = await seal(user.publicKey, info, aad, utf8('plaintext'), rng);
    for (const at of [0, 1087, 1088, 1119, 1120, sealed.length - 17, sealed.length - 1]) {
      const bent = sealed.slice();
      bent[at]! ^= 1;
      expect(await codeFrom(open(user.privateKey, info, aad, bent))).toBe('BAD_INPUT');
    }
    expect(await codeFrom(open(user.privateKey, utf8('other'), aad, sealed))).toBe('BAD_INPUT');
    expect(await codeFrom(open(user.privateKey, info, utf8('other'), sealed))).toBe('BAD_INPUT');
    const other = await generateUserKey(rng);
    expect(await codeFrom(open(other.privateKey, info, aad, sealed))).toBe('BAD_INPUT');
  });

  it('open: refuses truncated messages', async () => {
    const sealed = await seal(user.publicKey, info, aad, utf8('plaintext'), rng);
    expect(await codeFrom(open(user.privateKey, info, aad, sealed.slice(0, -1)))).toBe('BAD_INPUT');
    const stub = sealed.slice(0, HPKE_OVERHEAD_BYTES - 1);
    expect(await codeFrom(open(user.privateKey, info, aad, stub))).toBe('BAD_ENCODING');
    expect(await codeFrom(open(user.privateKey, info, aad, new Uint8Array(0)))).toBe('BAD_ENCODING');
  });

  it('seal: refuses public keys of a wrong length or with coefficients above the modulus', async () => {
    for (const size of [0, 1215, 1217]) {
      expect(await codeFrom(seal(new Uint8Array(size), info, aad, info, rng))).toBe('BAD_INPUT');
    }
    const reduced = user.publicKey.slice();
    reduced.fill(0xff, 0, 3);
    expect(await codeFrom(seal(reduced, info, aad, info, rng))).toBe('BAD_INPUT');
  });
});

describe('user private key', () => {
  it('printing: shows that it is a secret and nothing else', () => {
    const key = new UserPrivateKey(new Uint8Array(32).fill(0xab));
    for (const shown of [`${key}`, inspect(key), inspect({ key }), JSON.stringify({ key })]) {
      expect(shown).toContain('[secret]');
      expect(shown).not.toMatch(/ab|171/);
    }
  });

  it('dispose: erases the key and ends its use', () => {
    const key = new UserPrivateKey(new Uint8Array(32).fill(1));
    const lent = key.use((seed) => seed);
    key[Symbol.dispose]();
    expect(lent).toEqual(new Uint8Array(32));
    expect(() => key.use(() => 0)).toThrow(expect.objectContaining({ code: 'BAD_INPUT' }));
  });

  it('constructor: takes 32 bytes only, and its own copy', () => {
    expect(() => new UserPrivateKey(new Uint8Array(31))).toThrow(
      expect.objectContaining({ code: 'BAD_INPUT' }),
    );
    const seed = new Uint8Array(32).fill(1);
    const key = new UserPrivateKey(seed);
    seed.fill(2);
    expect(key.use((held) => held[0])).toBe(1);
  });
});
