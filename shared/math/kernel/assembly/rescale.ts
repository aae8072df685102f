// Division with rounding in residue number system form.
import { RECORD_ONE, mulPair } from './modulus';
import { mulHigh, reduceOnce } from './word';

/**
 * One row of round(x / last): (x - ((x_last + h) mod last) + h) / last mod q with h = floor(last/2), h < q
 * not needed. `constants`: last, h, h mod q, then the pair of 1/last mod q.
 */
export function divideAndRound(
  out: usize, a: usize, top: usize, constants: usize, n: usize, record: usize,
): void {
  const q = load<u64>(record);
  const last = load<u64>(constants);
  const half = load<u64>(constants, 8);
  const halfMod = load<u64>(constants, 16);
  for (let i: usize = 0; i < n << 3; i += 8) {
    const shifted = reduceOnce(load<u64>(top + i) + half, last);
    const x = load<u64>(a + i) + halfMod + q - mulPair(shifted, record + RECORD_ONE, q);
    store<u64>(out + i, mulPair(x, constants + 24, q));
  }
}

/**
 * fraction += frac(y / q) as 64-bit fixed point, y = a * (Q/q)^-1 mod q, so that the rows of all primes add
 * up to frac(x/Q); each row at most 2^-63 too small. `constants`: the pair of (Q/q)^-1, then floor(2^128/q)
 * low, high.
 */
export function addFraction(fraction: usize, a: usize, constants: usize, n: usize, record: usize): void {
  const q = load<u64>(record);
  const low = load<u64>(constants, 16);
  const high = load<u64>(constants, 24);
  for (let i: usize = 0; i < n << 3; i += 8) {
    const y = mulPair(load<u64>(a + i), constants, q);
    store<u64>(fraction + i, load<u64>(fraction + i) + y * high + mulHigh(y, low));
  }
}

/** out = round(p * fraction) mod p for a 64-bit fraction. */
export function roundFraction(out: usize, fraction: usize, p: u64, n: usize): void {
  for (let i: usize = 0; i < n << 3; i += 8) {
    const x = load<u64>(fraction + i);
    store<u64>(out + i, reduceOnce(mulHigh(x, p) + ((x * p) >> 63), p));
  }
}
