// Arithmetic on 64-bit words. Everything here is branch-free; secrets pass through.

const LOW: u64 = 0xffffffff;

/** High word of a * b, exact. */
// @ts-ignore: decorator
@inline
export function mulHigh(a: u64, b: u64): u64 {
  const al = a & LOW;
  const ah = a >> 32;
  const bl = b & LOW;
  const bh = b >> 32;
  const u = ah * bl + ((al * bl) >> 32);
  const v = al * bh + (u & LOW);
  return ah * bh + (u >> 32) + (v >> 32);
}

/**
 * High word of a * (bh * 2^32 + bl), at most 2 too small: drops the lowest partial product and two carries.
 */
// @ts-ignore: decorator
@inline
export function mulHighNearly(a: u64, bh: u64, bl: u64): u64 {
  const al = a & LOW;
  const ah = a >> 32;
  return ah * bh + ((ah * bl) >> 32) + ((al * bh) >> 32);
}

/** x - c if that is not negative, else x; for x < c + 2^63. */
// @ts-ignore: decorator
@inline
export function reduceOnce(x: u64, c: u64): u64 {
  const d = x - c;
  return d + (c & <u64>(<i64>d >> 63));
}

/** x * w mod q in [0, 2q) for any x; wq = floor(w * 2^64 / q), w < q (Shoup). */
// @ts-ignore: decorator
@inline
export function shoup(x: u64, w: u64, wq: u64, q: u64): u64 {
  return x * w - mulHigh(x, wq) * q;
}

/** x * w mod q in [0, 4q) for any x; the quotient wq comes split in halves. */
// @ts-ignore: decorator
@inline
export function shoupNearly(x: u64, w: u64, wqh: u64, wql: u64, q: u64): u64 {
  return x * w - mulHighNearly(x, wqh, wql) * q;
}
