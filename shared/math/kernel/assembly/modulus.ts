// A modulus record: 22 words that the host derives from a prime q of b bits, 16 <= b <= 60 (see
// ../../modulus.ts).
//   0 q   1 b-1   2 floor(2^2b / q) << (63-b)   3 floor(2^(b+24) / q)
//   4,5 2^64 mod q   6,7 2^128 mod q   8,9 one   10..21 constants of the inner product
// where a pair is a constant and its Shoup quotient.
import { mulHigh, reduceOnce, shoup } from './word';

// @ts-ignore: decorator
@inline
export const RECORD_ONE: usize = 64;
// @ts-ignore: decorator
@inline
export const RECORD_R64: usize = 32;
// @ts-ignore: decorator
@inline
export const RECORD_R128: usize = 48;
// @ts-ignore: decorator
@inline
export const RECORD_DOT: usize = 80;

/** a * b mod q, canonical, for a, b < q: Barrett with a quotient that is at most 2 too small. */
// @ts-ignore: decorator
@inline
export function mulMod(a: u64, b: u64, q: u64, shift: u64, mu: u64): u64 {
  const low = a * b;
  const high = mulHigh(a, b);
  const top = (high << (64 - shift)) | (low >> shift);
  const r = low - mulHigh(top, mu) * q;
  return reduceOnce(reduceOnce(r, q << 1), q);
}

/** x * constant mod q, canonical, for any x; the pair lies at `pair`. */
// @ts-ignore: decorator
@inline
export function mulPair(x: u64, pair: usize, q: u64): u64 {
  return reduceOnce(shoup(x, load<u64>(pair), load<u64>(pair, 8), q), q);
}

/** Signed x mod q, canonical. */
// @ts-ignore: decorator
@inline
export function signedMod(x: i64, record: usize, q: u64): u64 {
  // x = u - 2^64 * [x < 0]
  const wrap = q - load<u64>(record, RECORD_R64);
  const r = shoup(<u64>x, 1, load<u64>(record, RECORD_ONE + 8), q) + (wrap & <u64>(x >> 63));
  return reduceOnce(reduceOnce(r, q << 1), q);
}
