// Negacyclic number theoretic transform in SEAL's order: minimal primitive 2N-th root psi, powers in
// bit-reversed order, Cooley-Tukey forward, Gentleman-Sande backward, two stages to a pass. Tables: N pairs
// (w, floor(w*2^64/q)), pair i = psi^brv(i) forward, psi^-brv(i) backward. In place; input and output
// canonical.
import { RECORD_ONE, RECORD_R64, mulMod } from './modulus';
import { mulHigh, reduceOnce, shoupNearly } from './word';

const LOW: u64 = 0xffffffff;

/** Bring a forward butterfly's upper input below 4q; narrow primes have room to skip it. */
// @ts-ignore: decorator
@inline
function trim(x: u64, q: u64, wide: bool): u64 {
  return wide ? reduceOnce(x, q << 2) : x;
}

/** x < 64q to canonical: quotient from the leading bits, at most 1 too small. */
// @ts-ignore: decorator
@inline
function settle(x: u64, q: u64, shift: u64, ratio: u64): u64 {
  return reduceOnce(x - (((x >> shift) * ratio) >> 32) * q, q);
}

// @ts-ignore: decorator
@inline
function forwardFirst(a: usize, table: usize, n: usize, q: u64, wide: bool): void {
  const w = load<u64>(table, 16);
  const wq = load<u64>(table, 24);
  const half = n << 2;
  for (let end = a + half; a < end; a += 8) {
    const u = trim(load<u64>(a), q, wide);
    const v = shoupNearly(load<u64>(a + half), w, wq >> 32, wq & LOW, q);
    store<u64>(a, u + v);
    store<u64>(a + half, u + (q << 2) - v);
  }
}

// @ts-ignore: decorator
@inline
function forwardPass(a: usize, table: usize, m: usize, quarter: usize, q: u64, wide: bool): void {
  const q4 = q << 2;
  const q2nd = quarter << 1;
  const q3rd = q2nd + quarter;
  for (let i: usize = 0; i < m; i++) {
    const p1 = table + ((m + i) << 4);
    const p2 = table + ((m + i) << 5);
    const w1 = load<u64>(p1);
    const w1q = load<u64>(p1, 8);
    const w2 = load<u64>(p2);
    const w2q = load<u64>(p2, 8);
    const w3 = load<u64>(p2, 16);
    const w3q = load<u64>(p2, 24);
    const w1h = w1q >> 32;
    const w1l = w1q & LOW;
    const w2h = w2q >> 32;
    const w2l = w2q & LOW;
    const w3h = w3q >> 32;
    const w3l = w3q & LOW;
    let j = a + i * (quarter << 2);
    for (let end = j + quarter; j < end; j += 8) {
      const x0 = trim(load<u64>(j), q, wide);
      const x1 = trim(load<u64>(j + quarter), q, wide);
      const v2 = shoupNearly(load<u64>(j + q2nd), w1, w1h, w1l, q);
      const v3 = shoupNearly(load<u64>(j + q3rd), w1, w1h, w1l, q);
      const y0 = trim(x0 + v2, q, wide);
      const y2 = trim(x0 + q4 - v2, q, wide);
      const v1 = shoupNearly(x1 + v3, w2, w2h, w2l, q);
      const v4 = shoupNearly(x1 + q4 - v3, w3, w3h, w3l, q);
      store<u64>(j, y0 + v1);
      store<u64>(j + quarter, y0 + q4 - v1);
      store<u64>(j + q2nd, y2 + v4);
      store<u64>(j + q3rd, y2 + q4 - v4);
    }
  }
}

// @ts-ignore: decorator
@inline
function forwardLast(a: usize, table: usize, m: usize, record: usize, q: u64, wide: bool): void {
  const q4 = q << 2;
  const shift = load<u64>(record, 8) - 7;
  const ratio = load<u64>(record, 24);
  let p1 = table + (m << 4);
  let p2 = table + (m << 5);
  for (let end = p1 + (m << 4); p1 < end; p1 += 16, p2 += 32, a += 32) {
    const w1 = load<u64>(p1);
    const w1q = load<u64>(p1, 8);
    const w1h = w1q >> 32;
    const w1l = w1q & LOW;
    const x0 = trim(load<u64>(a), q, wide);
    const x1 = trim(load<u64>(a, 8), q, wide);
    const v2 = shoupNearly(load<u64>(a, 16), w1, w1h, w1l, q);
    const v3 = shoupNearly(load<u64>(a, 24), w1, w1h, w1l, q);
    const y0 = trim(x0 + v2, q, wide);
    const y2 = trim(x0 + q4 - v2, q, wide);
    const w2q = load<u64>(p2, 8);
    const w3q = load<u64>(p2, 24);
    const v1 = shoupNearly(x1 + v3, load<u64>(p2), w2q >> 32, w2q & LOW, q);
    const v4 = shoupNearly(x1 + q4 - v3, load<u64>(p2, 16), w3q >> 32, w3q & LOW, q);
    store<u64>(a, settle(y0 + v1, q, shift, ratio));
    store<u64>(a, settle(y0 + q4 - v1, q, shift, ratio), 8);
    store<u64>(a, settle(y2 + v4, q, shift, ratio), 16);
    store<u64>(a, settle(y2 + q4 - v4, q, shift, ratio), 24);
  }
}

// @ts-ignore: decorator
@inline
function forward(a: usize, table: usize, n: usize, record: usize, wide: bool): void {
  const q = load<u64>(record);
  let m: usize = 1;
  if (ctz(n) & 1) {
    forwardFirst(a, table, n, q, wide);
    m = 2;
  }
  for (; m << 2 < n; m <<= 2) forwardPass(a, table, m, (n << 1) / m, q, wide);
  forwardLast(a, table, m, record, q, wide);
}

/** Coefficients to slots. Words stay below (4*log2(N) + 4) q for q < 2^57, below 8q otherwise. */
export function ntt(a: usize, table: usize, n: usize, record: usize): void {
  if (load<u64>(record) >> 57) forward(a, table, n, record, true);
  else forward(a, table, n, record, false);
}

// @ts-ignore: decorator
@inline
function backwardFirst(a: usize, table: usize, n: usize, q: u64): void {
  const q4 = q << 2;
  let p = table + (n << 3);
  for (let end = a + (n << 3); a < end; a += 16, p += 16) {
    const u = load<u64>(a);
    const v = load<u64>(a, 8);
    const wq = load<u64>(p, 8);
    store<u64>(a, reduceOnce(u + v, q4));
    store<u64>(a, shoupNearly(u + q4 - v, load<u64>(p), wq >> 32, wq & LOW, q), 8);
  }
}

// Words below 4q in and out; 16q < 2^64 is the widest value between.
// @ts-ignore: decorator
@inline
function backwardPass(a: usize, table: usize, m: usize, quarter: usize, q: u64): void {
  const q4 = q << 2;
  const q8 = q << 3;
  const q2nd = quarter << 1;
  const q3rd = q2nd + quarter;
  for (let i: usize = 0; i < m; i++) {
    const p1 = table + ((m + i) << 4);
    const p2 = table + ((m + i) << 5);
    const w1 = load<u64>(p1);
    const w1q = load<u64>(p1, 8);
    const w2 = load<u64>(p2);
    const w2q = load<u64>(p2, 8);
    const w3 = load<u64>(p2, 16);
    const w3q = load<u64>(p2, 24);
    const w1h = w1q >> 32;
    const w1l = w1q & LOW;
    const w2h = w2q >> 32;
    const w2l = w2q & LOW;
    const w3h = w3q >> 32;
    const w3l = w3q & LOW;
    let j = a + i * (quarter << 2);
    for (let end = j + quarter; j < end; j += 8) {
      const x0 = load<u64>(j);
      const x1 = load<u64>(j + quarter);
      const x2 = load<u64>(j + q2nd);
      const x3 = load<u64>(j + q3rd);
      const s0 = x0 + x1;
      const d0 = shoupNearly(x0 + q4 - x1, w2, w2h, w2l, q);
      const s1 = x2 + x3;
      const d1 = shoupNearly(x2 + q4 - x3, w3, w3h, w3l, q);
      store<u64>(j, reduceOnce(reduceOnce(s0 + s1, q8), q4));
      store<u64>(j + quarter, reduceOnce(d0 + d1, q4));
      store<u64>(j + q2nd, shoupNearly(s0 + q8 - s1, w1, w1h, w1l, q));
      store<u64>(j + q3rd, shoupNearly(d0 + q4 - d1, w1, w1h, w1l, q));
    }
  }
}

/** Last stage with the factor 1/N: `scale` holds the pairs (1/N) and (w_1/N). */
// @ts-ignore: decorator
@inline
function backwardLast(a: usize, scale: usize, n: usize, q: u64): void {
  const q2 = q << 1;
  const q4 = q << 2;
  const w0 = load<u64>(scale);
  const w0q = load<u64>(scale, 8);
  const w1 = load<u64>(scale, 16);
  const w1q = load<u64>(scale, 24);
  const w0h = w0q >> 32;
  const w0l = w0q & LOW;
  const w1h = w1q >> 32;
  const w1l = w1q & LOW;
  const half = n << 2;
  for (let end = a + half; a < end; a += 8) {
    const u = load<u64>(a);
    const v = load<u64>(a + half);
    const s = shoupNearly(u + v, w0, w0h, w0l, q);
    const d = shoupNearly(u + q4 - v, w1, w1h, w1l, q);
    store<u64>(a, reduceOnce(reduceOnce(s, q2), q));
    store<u64>(a + half, reduceOnce(reduceOnce(d, q2), q));
  }
}

/** Slots to coefficients. The two scaling pairs follow the N pairs of the table. */
export function intt(a: usize, table: usize, n: usize, record: usize): void {
  const q = load<u64>(record);
  let m = n >> 2;
  let quarter: usize = 8;
  if (!(ctz(n) & 1)) {
    backwardFirst(a, table, n, q);
    quarter = 16;
    m >>= 1;
  }
  for (; m >= 2; m >>= 2, quarter <<= 2) backwardPass(a, table, m, quarter, q);
  backwardLast(a, table + (n << 4), n, q);
}

/** Fills a table with the pairs of root^brv(i), i < n. Public. */
export function twiddles(table: usize, root: u64, n: usize, record: usize): void {
  const q = load<u64>(record);
  const shift = load<u64>(record, 8);
  const mu = load<u64>(record, 16);
  const rest = load<u64>(record, RECORD_R64);
  const whole = load<u64>(record, RECORD_ONE + 8);
  const unused = <u32>clz(<u32>n) + 1;
  let power: u64 = 1;
  for (let i: u32 = 0; i < <u32>n; i++) {
    // 2^64 = whole * q + rest
    const at = table + (<usize>(reverseBits(i) >> unused) << 4);
    store<u64>(at, power);
    store<u64>(at, power * whole + quotientOf(power, rest, q, shift, mu), 8);
    power = mulMod(power, root, q, shift, mu);
  }
}

// @ts-ignore: decorator
@inline
function reverseBits(x: u32): u32 {
  x = ((x >> 1) & 0x55555555) | ((x & 0x55555555) << 1);
  x = ((x >> 2) & 0x33333333) | ((x & 0x33333333) << 2);
  x = ((x >> 4) & 0x0f0f0f0f) | ((x & 0x0f0f0f0f) << 4);
  return bswap<u32>(x);
}

/** floor(a * b / q) for a, b < q. Public: corrects in a loop. */
// @ts-ignore: decorator
@inline
function quotientOf(a: u64, b: u64, q: u64, shift: u64, mu: u64): u64 {
  const low = a * b;
  const top = (mulHigh(a, b) << (64 - shift)) | (low >> shift);
  let quotient = mulHigh(top, mu);
  for (let r = low - quotient * q; r >= q; r -= q) quotient++;
  return quotient;
}
