import { createHash, generateKeyPairSync, hkdfSync, randomBytes, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { noble } from '../../../shared/noble.ts';
import { concat, toHex, utf8 } from '../../../shared/wire/bytes.ts';

describe('noble primitives', () => {
  const a = new Uint8Array(randomBytes(100));
  const b = new Uint8Array(randomBytes(33));

  it('sha256: hashes the concatenation, as OpenSSL does', () => {
    expect(toHex(noble.sha256(a, b))).toBe(createHash('sha256').update(a).update(b).digest('hex'));
    expect(noble.sha256(concat(a, b))).toEqual(noble.sha256(a, b));
  });

  it('shake128: agrees with OpenSSL', () => {
    const oracle = createHash('shake128', { outputLength: 500 }).update(a).digest('hex');
    expect(toHex(noble.shake128(a, 500))).toBe(oracle);
  });

  it('hkdf: agrees with OpenSSL', () => {
    const oracle = new Uint8Array(hkdfSync('sha256', a, b, 'info', 80));
    expect(noble.hkdf(a, b, utf8('info'), 80)).toEqual(oracle);
  });

  it('verify: accepts OpenSSL signatures, refuses altered and malformed ones without throwing', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const raw = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32));
    const signature = new Uint8Array(sign(null, a, privateKey));
    expect(noble.verify(raw, a, signature)).toBe(true);
    expect(noble.verify(raw, b, signature)).toBe(false);
    expect(noble.verify(raw, a, signature.slice(1))).toBe(false);
    expect(noble.verify(raw.slice(1), a, signature)).toBe(false);
    expect(noble.verify(new Uint8Array(32).fill(0xff), a, signature)).toBe(false);
  });
});
