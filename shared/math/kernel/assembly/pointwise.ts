// Rows of n canonical residues modulo one prime. `out` may be an operand. Constant time.
import { RECORD_ONE, RECORD_R128, RECORD_R64, mulMod, mulPair, signedMod } from './modulus';
import { reduceOnce, shoup } from './word';

export function add(out: usize, a: usize, b: usize, n: usize, record: usize): void {
  const q = load<u64>(record);
  for (let i: usize = 0; i < n << 3; i += 8) {
    store<u64>(out + i, reduceOnce(load<u64>(a + i) + load<u64>(b + i), q));
  }
}

export function sub(out: usize, a: usize, b: usize, n: usize, record: usize): void {
  const q = load<u64>(record);
  for (let i: usize = 0; i < n << 3; i += 8) {
    store<u64>(out + i, reduceOnce(load<u64>(a + i) + q - load<u64>(b + i), q));
  }
}

export function mul(out: usize, a: usize, b: usize, n: usize, record: usize): void {
  const q = load<u64>(record);
  const shift = load<u64>(record, 8);
  const mu = load<u64>(record, 16);
  for (let i: usize = 0; i < n << 3; i += 8) {
    store<u64>(out + i, mulMod(load<u64>(a + i), load<u64>(b + i), q, shift, mu));
  }
}

/** acc += a * b */
export function mulAcc(acc: usize, a: usize, b: usize, n: usize, record: usize): void {
  const q = load<u64>(record);
  const shift = load<u64>(record, 8);
  const mu = load<u64>(record, 16);
  for (let i: usize = 0; i < n << 3; i += 8) {
    const product = mulMod(load<u64>(a + i), load<u64>(b + i), q, shift, mu);
    store<u64>(acc + i, reduceOnce(load<u64>(acc + i) + product, q));
  }
}

/** out = a * constant, the constant's Shoup pair at `pair`. */
export function scale(out: usize, a: usize, pair: usize, n: usize, record: usize): void {
  const q = load<u64>(record);
  for (let i: usize = 0; i < n << 3; i += 8) store<u64>(out + i, mulPair(load<u64>(a + i), pair, q));
}

/** out = sum of `count` rows, row k at a + k*stride times the constant whose pair is at pairs + 16k. */
export function combine(
  out: usize, a: usize, stride: usize, pairs: usize, count: usize, n: usize, record: usize,
): void {
  const q = load<u64>(record);
  const q2 = q << 1;
  const end = pairs + (count << 4);
  for (let i: usize = 0; i < n << 3; i += 8) {
    let sum: u64 = 0;
    let at = a + i;
    for (let pair = pairs; pair < end; pair += 16, at += stride) {
      sum = reduceOnce(sum + shoup(load<u64>(at), load<u64>(pair), load<u64>(pair, 8), q), q2);
    }
    store<u64>(out + i, reduceOnce(sum, q));
  }
}

/** Canonical residues of n signed integers of `size` = 1, 4 or 8 bytes. */
export function fromSigned(out: usize, values: usize, size: i32, n: usize, record: usize): void {
  const q = load<u64>(record);
  for (let i: usize = 0; i < n; i++) {
    const x: i64 = size == 1 ? load<i8>(values + i)
      : size == 4 ? load<i32>(values + (i << 2))
      : load<i64>(values + (i << 3));
    store<u64>(out + (i << 3), signedMod(x, record, q));
  }
}

/** n residues from 192-bit little-endian integers. */
export function uniform(out: usize, stream: usize, n: usize, record: usize): void {
  const q = load<u64>(record);
  for (let end = out + (n << 3); out < end; out += 8, stream += 24) {
    const r = shoup(load<u64>(stream), 1, load<u64>(record, RECORD_ONE + 8), q)
      + shoup(load<u64>(stream, 8), load<u64>(record, RECORD_R64), load<u64>(record, RECORD_R64 + 8), q)
      + shoup(load<u64>(stream, 16), load<u64>(record, RECORD_R128), load<u64>(record, RECORD_R128 + 8), q);
    store<u64>(out, reduceOnce(reduceOnce(reduceOnce(r, q << 2), q << 1), q));
  }
}

/** Index of the first word >= q, or n. Public. */
export function firstUnreduced(a: usize, n: usize, record: usize): usize {
  const q = load<u64>(record);
  for (let i: usize = 0; i < n; i++) if (load<u64>(a + (i << 3)) >= q) return i;
  return n;
}

/** Index of the first differing word, or n. Public. */
export function firstDifference(a: usize, b: usize, n: usize): usize {
  for (let i: usize = 0; i < n; i++) if (load<u64>(a + (i << 3)) != load<u64>(b + (i << 3))) return i;
  return n;
}

/** Clears bits b-1 and above of every word: random words become uniform below 2^(b-1) <= q. */
export function maskTo(a: usize, n: usize, record: usize): void {
  const mask = ((<u64>1) << load<u64>(record, 8)) - 1;
  for (let i: usize = 0; i < n << 3; i += 8) store<u64>(a + i, load<u64>(a + i) & mask);
}
