import { createPublicKey, verify } from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { describe, expect, it } from 'vitest';
import { ed25519Signer, nodePrimitives } from '../../../enclave/primitives.ts';
import { isPrimeOrderPoint, PublicKeys } from '../../../shared/ed25519.ts';
import { noble } from '../../../shared/noble.ts';
import type { Verifier } from '../../../shared/primitives.ts';
import { concat, fromHex, utf8 } from '../../../shared/wire/bytes.ts';
import edgeCases from './edge-cases.json' with { type: 'json' };

interface Signed {
  readonly publicKey: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

/** What a library says by itself. */
const libraries = {
  openssl: ({ publicKey, message, signature }: Signed): boolean => {
    const der = Buffer.from(concat(fromHex('302a300506032b6570032100'), publicKey));
    try {
      return verify(null, message, createPublicKey({ key: der, format: 'der', type: 'spki' }), signature);
    } catch {
      return false;
    }
  },
  noble: ({ publicKey, message, signature }: Signed): boolean =>
    ed25519.verify(signature, message, publicKey, { zip215: false }),
};
const ours: readonly [string, Verifier][] = [
  ['OpenSSL', nodePrimitives],
  ['noble', noble],
];

const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const message = utf8('message');
/** A point of order 8. */
const torsion = ed25519.Point.fromBytes(
  fromHex('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05'),
);

const toLittle = (value: bigint): Uint8Array => fromHex(value.toString(16).padStart(64, '0')).reverse();
const fromLittle = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);

/** Signs as the owner of `a` may who puts other points for A and R than the rule allows. */
function crooked(a: bigint, R: Uint8Array, nonce: bigint, A = pointOf(a)): Signed {
  const k = fromLittle(sha512(concat(R, A, message))) % L;
  return { publicKey: A, message, signature: concat(R, toLittle((nonce + k * a) % L)) };
}

const pointOf = (scalar: bigint): Uint8Array => ed25519.Point.BASE.multiply(scalar).toBytes();
const withTorsion = (bytes: Uint8Array): Uint8Array => ed25519.Point.fromBytes(bytes).add(torsion).toBytes();

const a = 1234567n;
const nonce = 987654321n;
const generated: readonly [string, Signed][] = [
  ['R of mixed order', crooked(a, withTorsion(pointOf(nonce)), nonce)],
  ['A of mixed order', crooked(a, pointOf(nonce), nonce, withTorsion(pointOf(a)))],
  ['R the identity', crooked(a, ed25519.Point.ZERO.toBytes(), 0n)],
  // y = 1 + p, the identity in another encoding.
  ['R the identity, not canonical', crooked(a, fromHex(`ee${'ff'.repeat(30)}7f`), 0n)],
  ['R the identity with a sign', crooked(a, fromHex(`01${'00'.repeat(30)}80`), 0n)],
  [
    'A the identity',
    { publicKey: ed25519.Point.ZERO.toBytes(), message, signature: concat(pointOf(nonce), toLittle(nonce)) },
  ],
  [
    'A the identity, not canonical',
    {
      publicKey: fromHex(`ee${'ff'.repeat(30)}7f`),
      message,
      signature: concat(pointOf(nonce), toLittle(nonce)),
    },
  ],
  ['A not a point', { publicKey: new Uint8Array(32).fill(2), message, signature: new Uint8Array(64) }],
];

const published = edgeCases.cases.map(({ what, ...hex }): [string, Signed] => [
  what,
  { publicKey: fromHex(hex.publicKey), message: fromHex(hex.message), signature: fromHex(hex.signature) },
]);

describe('Ed25519 by one strict rule', () => {
  it.each([...published, ...generated])('ed25519: refused by all: %s', (_, signed) => {
    for (const [name, by] of ours) {
      const { publicKey, message: text, signature } = signed;
      expect([name, by.verify(publicKey, text, signature)]).toEqual([name, false]);
    }
  });

  it('ed25519: the libraries by themselves disagree about some of these, so the rule is needed', () => {
    const all = [...published, ...generated];
    const disputed = all.filter(([, one]) => libraries.openssl(one) !== libraries.noble(one));
    const accepted = all.filter(([, one]) => libraries.openssl(one) || libraries.noble(one));
    expect(disputed.length).toBeGreaterThanOrEqual(4);
    expect(accepted.length).toBeGreaterThan(disputed.length);
  });

  it('ed25519: S + L is the same signature in another form, and refused', () => {
    const signer = ed25519Signer(new Uint8Array(32).fill(5));
    const signature = signer.sign(message);
    const s = fromLittle(signature.subarray(32));
    const malleated = concat(signature.subarray(0, 32), toLittle(s + L));
    for (const [, by] of ours) {
      expect(by.verify(signer.publicKey, message, signature)).toBe(true);
      expect(by.verify(signer.publicKey, message, malleated)).toBe(false);
    }
  });

  it('ed25519: what either signs both accept, for its message and key only', () => {
    for (let i = 1; i <= 8; i++) {
      const seed = new Uint8Array(32).fill(i);
      const signer = ed25519Signer(seed);
      expect(ed25519.sign(message, seed)).toEqual(signer.sign(message));
      const signature = signer.sign(message);
      for (const [, by] of ours) {
        expect(by.verify(signer.publicKey, message, signature)).toBe(true);
        expect(by.verify(signer.publicKey, utf8('massage'), signature)).toBe(false);
        expect(by.verify(pointOf(7n), message, signature)).toBe(false);
      }
    }
  });

  it('ed25519: a nonce that the signer chose badly, but of prime order, is as good as any', () => {
    const signed = crooked(a, pointOf(nonce), nonce);
    for (const [, by] of ours) expect(by.verify(signed.publicKey, message, signed.signature)).toBe(true);
  });

  it('ed25519: only canonical points of prime order are keys', () => {
    const { publicKey } = ed25519Signer(new Uint8Array(32).fill(5));
    expect(isPrimeOrderPoint(publicKey)).toBe(true);
    expect(isPrimeOrderPoint(withTorsion(publicKey))).toBe(false);
    expect(isPrimeOrderPoint(torsion.toBytes())).toBe(false);
    expect(isPrimeOrderPoint(publicKey.subarray(1))).toBe(false);
    expect(isPrimeOrderPoint(fromHex(`ee${'ff'.repeat(30)}7f`))).toBe(false);
  });

  it('ed25519: a public key is checked once, and there is an end to what is remembered', () => {
    let imports = 0;
    const keys = new PublicKeys((key) => {
      imports++;
      return key;
    });
    const key = pointOf(5n);
    for (let i = 0; i < 3; i++) expect(keys.get(key)).toEqual(key);
    expect(imports).toBe(1);
    for (let i = 0; i < 3; i++) expect(keys.get(withTorsion(key))).toBeUndefined();
    expect(imports).toBe(1);
    for (let i = 0; i < 300; i++) keys.get(pointOf(BigInt(1000 + i)));
    expect(imports).toBe(301);
    expect(keys.get(key)).toEqual(key);
    expect(imports).toBe(302);
  });
});
