// Inner products modulo q of canonical rows: both operands split into limbs of s = ceil(b/2) bits, products
// added without reduction in 64-bit lanes, lanes folded into 32-bit halves before they can overflow. Constant
// time.
import { RECORD_DOT, mulPair } from './modulus';
import { reduceOnce } from './word';

const LOW: u64 = 0xffffffff;

// @ts-ignore: decorator
@inline
function lanes(x: v128): u64 {
  return i64x2.extract_lane(x, 0) + i64x2.extract_lane(x, 1);
}

// @ts-ignore: decorator
@inline
function lowLimbs(x: v128, y: v128, mask: v128): v128 {
  return v128.and(v128.shuffle<i32>(x, y, 0, 2, 4, 6), mask);
}

// @ts-ignore: decorator
@inline
function highLimbs(x: v128, y: v128, s: i32): v128 {
  return v128.shuffle<i32>(i64x2.shr_u(x, s), i64x2.shr_u(y, s), 0, 2, 4, 6);
}

/** sum of a[i] * b[i], or with b backwards: a[i] * b[n-1-i]. */
// @ts-ignore: decorator
@inline
function inner(a: usize, b: usize, n: usize, record: usize, backwards: bool): u64 {
  const q = load<u64>(record);
  const s = (<i32>load<u64>(record, 8) + 2) >> 1;
  const limb: u64 = ((<u64>1) << s) - 1;
  const mask = i32x4.splat(<i32>limb);
  const low = i64x2.splat(LOW);
  // One step adds at most 4 products of 2s bits to a lane.
  const steps: usize = s > 28 ? 4 : 64;
  let ll0 = i64x2.splat(0), ll1 = i64x2.splat(0);
  let lh0 = i64x2.splat(0), lh1 = i64x2.splat(0);
  let hh0 = i64x2.splat(0), hh1 = i64x2.splat(0);
  const whole = n & ~3;
  let i: usize = 0;
  while (i < whole) {
    let ll = i64x2.splat(0), lh = i64x2.splat(0), hh = i64x2.splat(0);
    for (const stop = min(whole, i + (steps << 2)); i < stop; i += 4) {
      const at = a + (i << 3);
      const x0 = v128.load(at);
      const x1 = v128.load(at, 16);
      let y0: v128, y1: v128;
      if (backwards) {
        const from = b + ((n - 4 - i) << 3);
        const r0 = v128.load(from, 16);
        const r1 = v128.load(from);
        y0 = v128.shuffle<i64>(r0, r0, 1, 0);
        y1 = v128.shuffle<i64>(r1, r1, 1, 0);
      } else {
        const from = b + (i << 3);
        y0 = v128.load(from);
        y1 = v128.load(from, 16);
      }
      const xl = lowLimbs(x0, x1, mask);
      const xh = highLimbs(x0, x1, s);
      const yl = lowLimbs(y0, y1, mask);
      const yh = highLimbs(y0, y1, s);
      ll = i64x2.add(ll, i64x2.add(i64x2.extmul_low_i32x4_u(xl, yl), i64x2.extmul_high_i32x4_u(xl, yl)));
      hh = i64x2.add(hh, i64x2.add(i64x2.extmul_low_i32x4_u(xh, yh), i64x2.extmul_high_i32x4_u(xh, yh)));
      const cross = i64x2.add(i64x2.extmul_low_i32x4_u(xl, yh), i64x2.extmul_high_i32x4_u(xl, yh));
      const other = i64x2.add(i64x2.extmul_low_i32x4_u(xh, yl), i64x2.extmul_high_i32x4_u(xh, yl));
      lh = i64x2.add(lh, i64x2.add(cross, other));
    }
    ll0 = i64x2.add(ll0, v128.and(ll, low));
    ll1 = i64x2.add(ll1, i64x2.shr_u(ll, 32));
    lh0 = i64x2.add(lh0, v128.and(lh, low));
    lh1 = i64x2.add(lh1, i64x2.shr_u(lh, 32));
    hh0 = i64x2.add(hh0, v128.and(hh, low));
    hh1 = i64x2.add(hh1, i64x2.shr_u(hh, 32));
  }
  let l0 = lanes(ll0), l1 = lanes(ll1), m0 = lanes(lh0), m1 = lanes(lh1), h0 = lanes(hh0), h1 = lanes(hh1);
  for (; i < n; i++) {
    const x = load<u64>(a + (i << 3));
    const y = load<u64>(b + ((backwards ? n - 1 - i : i) << 3));
    const ll = (x & limb) * (y & limb);
    const hh = (x >> s) * (y >> s);
    const lh = (x & limb) * (y >> s) + (x >> s) * (y & limb);
    l0 += ll & LOW;
    l1 += ll >> 32;
    m0 += lh & LOW;
    m1 += lh >> 32;
    h0 += hh & LOW;
    h1 += hh >> 32;
  }
  const pairs = record + RECORD_DOT;
  let sum = reduceOnce(mulPair(l0, pairs, q) + mulPair(l1, pairs + 16, q), q);
  sum = reduceOnce(sum + mulPair(m0, pairs + 32, q), q);
  sum = reduceOnce(sum + mulPair(m1, pairs + 48, q), q);
  sum = reduceOnce(sum + mulPair(h0, pairs + 64, q), q);
  return reduceOnce(sum + mulPair(h1, pairs + 80, q), q);
}

/** out = sum of a[i] * b[i] mod q. */
export function dot(out: usize, a: usize, b: usize, n: usize, record: usize): void {
  store<u64>(out, inner(a, b, n, record, false));
}

/** out = coefficient 0 of a*b modulo X^n + 1: a[0]*b[0] - sum of a[i]*b[n-i]. */
export function constantCoefficient(out: usize, a: usize, b: usize, n: usize, record: usize): void {
  const q = load<u64>(record);
  const first = inner(a, b, 1, record, false);
  const rest = inner(a + 8, b + 8, n - 1, record, true);
  store<u64>(out, reduceOnce(first + q - rest, q));
}
