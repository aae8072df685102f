import { KmsError } from '../errors.ts';
import type { PartyId } from '../ids.ts';
import type { Rng } from '../primitives.ts';
import { invert, multiply } from './gf256.ts';

/** One half of a wrapping key, and each share of it: 32 secret bytes. */
export const HALF_BYTES = 32;

/** A party's share: its polynomial's value at the party's number, byte by byte. Secret. */
export interface HalfShare {
  readonly party: PartyId;
  readonly value: Uint8Array;
}

/**
 * Splits a half so that `threshold` shares determine it and one fewer says nothing (Shamir, CACM 1979), each byte by a
 * polynomial of its own over GF(2^8).
 * @param half secret
 * @param holders distinct; public
 */
export function splitHalf(
  half: Uint8Array,
  holders: readonly PartyId[],
  threshold: number,
  rng: Rng,
): HalfShare[] {
  if (half.length !== HALF_BYTES || threshold < 1 || holders.length < threshold) {
    throw new KmsError('BAD_INPUT', 'a half has 32 bytes and at least as many holders as its threshold');
  }
  const coefficients = [half, ...Array.from({ length: threshold - 1 }, () => rng(HALF_BYTES))];
  const shares = holders.map((party) => ({ party, value: horner(coefficients, party) }));
  for (const secret of coefficients.slice(1)) secret.fill(0);
  return shares;
}

/**
 * The value at `at` of the polynomial through exactly these shares: 0 gives the half, a party's number its share.
 * @param shares as many as the threshold, distinct parties
 */
export function interpolateHalf(shares: readonly HalfShare[], at: PartyId | 0): Uint8Array {
  if (new Set(shares.map(({ party }) => party)).size !== shares.length || shares.length === 0) {
    throw new KmsError('BAD_INPUT', 'shares are of distinct parties');
  }
  const value = new Uint8Array(HALF_BYTES);
  for (const { party, value: share } of shares) {
    // Public: party numbers only.
    let weight = 1;
    for (const { party: other } of shares) {
      if (other !== party) weight = multiply(weight, multiply(at ^ other, invert(party ^ other)));
    }
    for (let i = 0; i < HALF_BYTES; i++) value[i] = (value[i] ?? 0) ^ multiply(share[i] ?? 0, weight);
  }
  return value;
}

function horner(coefficients: readonly Uint8Array[], x: number): Uint8Array {
  const value = new Uint8Array(HALF_BYTES);
  for (const coefficient of coefficients.toReversed()) {
    for (let i = 0; i < HALF_BYTES; i++) value[i] = multiply(value[i] ?? 0, x) ^ (coefficient[i] ?? 0);
  }
  return value;
}
