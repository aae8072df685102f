import { ed25519 } from '@noble/curves/ed25519.js';
import { equalBytes, toHex } from './wire/bytes.ts';

/**
 * Ed25519 by one rule on which every implementation agrees. RFC 8032 leaves open whether points of small order count, and
 * libraries differ: OpenSSL checks the equation without the cofactor, noble with it. A signature counts iff
 *
 * - the public key is the canonical encoding of a point of prime order,
 * - R is the canonical encoding of a point of prime order,
 * - 0 <= S < L, and S*B = R + k*A.
 *
 * With A and R of prime order the equation with and without the cofactor are the same, so enclaves and clients never take
 * different signatures for valid. Public data only.
 * @see Chalkias, Garillot, Nikolaenko, "Taming the many EdDSAs", SSR 2020
 */

export const ED25519_KEY_BYTES = 32;
export const ED25519_SIGNATURE_BYTES = 64;

/** True iff these are the canonical 32 bytes of a point of prime order: a key that only its holder can sign for. */
export function isPrimeOrderPoint(bytes: Uint8Array): boolean {
  if (bytes.length !== 32) return false;
  try {
    const point = ed25519.Point.fromBytes(bytes);
    return !point.is0() && point.isTorsionFree() && equalBytes(point.toBytes(), bytes);
  } catch {
    return false;
  }
}

/** More keys than a network has; whoever shows more of them costs this process a little time, not memory. */
const MAX_KNOWN_KEYS = 256;

/** What is made of a public key, made once: the check of a key costs ten times a signature. Of valid keys only. */
export class PublicKeys<Key> {
  readonly #make: (publicKey: Uint8Array) => Key;
  readonly #known = new Map<string, Key>();

  constructor(make: (publicKey: Uint8Array) => Key) {
    this.#make = make;
  }

  /** @returns undefined unless the key is the canonical encoding of a point of prime order */
  get(publicKey: Uint8Array): Key | undefined {
    const name = toHex(publicKey);
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    if (!isPrimeOrderPoint(publicKey)) return undefined;
    const key = this.#make(publicKey.slice());
    if (this.#known.size >= MAX_KNOWN_KEYS) this.#known.clear();
    this.#known.set(name, key);
    return key;
  }
}
