import { ed25519 } from '@noble/curves/ed25519.js';
import type { Verifier } from '../primitives.ts';
import { equalBytes } from '../wire/bytes.ts';

/**
 * Ed25519 on which every implementation agrees. RFC 8032 leaves open whether points of small order count, and libraries
 * differ: OpenSSL checks the equation without the cofactor, noble with it. With keys and nonces of prime order, encoded
 * canonically, both answer the same, so enclaves and clients never take different signatures for valid. Public data only.
 */

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

/** @param publicKey one for which isPrimeOrderPoint() holds */
export function isStrictlySigned(
  by: Verifier,
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  return by.verify(publicKey, message, signature) && isPrimeOrderPoint(signature.subarray(0, 32));
}
