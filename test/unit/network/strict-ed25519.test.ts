import { ed25519 } from '@noble/curves/ed25519.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { describe, expect, it } from 'vitest';
import { ed25519Signer, nodePrimitives } from '../../../enclave/primitives.ts';
import { isPrimeOrderPoint, isStrictlySigned } from '../../../shared/network/strict-ed25519.ts';
import { noble } from '../../../shared/noble.ts';
import { concat, fromHex, utf8 } from '../../../shared/wire/bytes.ts';

const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const message = utf8('message');
/** A point of order 8. */
const torsion = ed25519.Point.fromBytes(
  fromHex('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05'),
);

const toLittle = (value: bigint): Uint8Array => fromHex(value.toString(16).padStart(64, '0')).reverse();
const fromLittle = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);

/** Signs as the owner of `a` would who adds a point of order 8 to the nonce. */
function crooked(a: bigint): { readonly key: Uint8Array; readonly signature: Uint8Array } {
  const key = ed25519.Point.BASE.multiply(a).toBytes();
  const nonce = 987654321n;
  const R = ed25519.Point.BASE.multiply(nonce).add(torsion).toBytes();
  const k = fromLittle(sha512(concat(R, key, message))) % L;
  return { key, signature: concat(R, toLittle((nonce + k * a) % L)) };
}

describe('strict Ed25519', () => {
  it('strict: a signature that libraries disagree about is refused with each of them', () => {
    const { key, signature } = crooked(1234567n);
    expect([noble, nodePrimitives].map((by) => by.verify(key, message, signature))).toEqual([true, false]);
    for (const by of [noble, nodePrimitives]) {
      expect(isStrictlySigned(by, key, message, signature)).toBe(false);
    }
  });

  it('strict: ordinary signatures count, for their message and key only', () => {
    const signer = ed25519Signer(new Uint8Array(32).fill(5));
    const signature = signer.sign(message);
    for (const by of [noble, nodePrimitives]) {
      expect(isStrictlySigned(by, signer.publicKey, message, signature)).toBe(true);
      expect(isStrictlySigned(by, signer.publicKey, utf8('massage'), signature)).toBe(false);
      expect(isStrictlySigned(by, crooked(7n).key, message, signature)).toBe(false);
    }
  });

  it('strict: only canonical points of prime order are keys', () => {
    const { publicKey } = ed25519Signer(new Uint8Array(32).fill(5));
    const mixed = ed25519.Point.fromBytes(publicKey).add(torsion).toBytes();
    expect(isPrimeOrderPoint(publicKey)).toBe(true);
    expect(isPrimeOrderPoint(mixed)).toBe(false);
    expect(isPrimeOrderPoint(torsion.toBytes())).toBe(false);
    expect(isPrimeOrderPoint(publicKey.subarray(1))).toBe(false);
    // y = 1 + p, the identity in another encoding.
    expect(
      isPrimeOrderPoint(fromHex('eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f')),
    ).toBe(false);
  });
});
