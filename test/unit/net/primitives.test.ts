import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ed25519Signer, nodePrimitives } from '../../../enclave/primitives.ts';
import { noble } from '../../../shared/noble.ts';
import { concat, fromHex, toHex, utf8 } from '../../../shared/wire/bytes.ts';

const bytes = fc.uint8Array({ maxLength: 300 });

describe('primitives by node:crypto', () => {
  it('primitives: agree with an independent implementation', () => {
    fc.assert(
      fc.property(bytes, bytes, fc.integer({ min: 1, max: 200 }), (a, b, sizeBytes) => {
        expect(nodePrimitives.sha256(a, b)).toEqual(noble.sha256(a, b));
        expect(nodePrimitives.shake128(a, sizeBytes)).toEqual(noble.shake128(a, sizeBytes));
        expect(nodePrimitives.hkdf(a, b, utf8('info'), sizeBytes)).toEqual(
          noble.hkdf(a, b, utf8('info'), sizeBytes),
        );
      }),
      { numRuns: 50 },
    );
  });

  it('primitives: AES-256 gives the vector of FIPS 197 appendix C.3, block by block, call after call', () => {
    const cipher = nodePrimitives.aes256(
      fromHex('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f'),
    );
    const block = fromHex('00112233445566778899aabbccddeeff');
    const expected = '8ea2b7ca516745bfeafc49904b496089';
    expect(toHex(cipher.encrypt(block))).toBe(expected);
    expect(toHex(cipher.encrypt(concat(block, block)))).toBe(expected + expected);
    expect(cipher.encrypt(new Uint8Array(0))).toHaveLength(0);
    expect(() => cipher.encrypt(block.subarray(1))).toThrow(expect.objectContaining({ code: 'BAD_INPUT' }));
    expect(() => nodePrimitives.aes256(block)).toThrow(expect.objectContaining({ code: 'BAD_INPUT' }));
  });

  it('primitives: Ed25519 gives test 3 of RFC 8032 and refuses everything else without throwing', () => {
    const signer = ed25519Signer(fromHex('c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7'));
    const message = fromHex('af82');
    const signature =
      '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac' +
      '18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a';
    expect(toHex(signer.publicKey)).toBe('fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025');
    expect(toHex(signer.sign(message))).toBe(signature);
    const good = fromHex(signature);
    expect(nodePrimitives.verify(signer.publicKey, message, good)).toBe(true);
    expect(noble.verify(signer.publicKey, message, good)).toBe(true);
    for (let at = 0; at < 64; at++) {
      const bad = good.slice();
      bad[at]! ^= 1;
      expect(nodePrimitives.verify(signer.publicKey, message, bad)).toBe(false);
    }
    expect(nodePrimitives.verify(signer.publicKey.subarray(1), message, good)).toBe(false);
    expect(nodePrimitives.verify(new Uint8Array(32).fill(255), message, good)).toBe(false);
    expect(nodePrimitives.verify(signer.publicKey, message, good.subarray(1))).toBe(false);
    expect(() => ed25519Signer(new Uint8Array(31))).toThrow(expect.objectContaining({ code: 'BAD_INPUT' }));
  });
});
