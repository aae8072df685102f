// Exact integer sums of share contributions. Secret streams, public numerators. Constant time.
import { mulPair, signedMod } from './modulus';
import { reduceOnce, shoup } from './word';

/**
 * Adds `streams` streams (at most 8, `stride` bytes apart) times their numerators (n0 + n1 * 2^20; i32 pairs at
 * `numerators`, 0 <= n0 < 2^20, |n1| <= 2^20) to the accumulators. A stream is groups x limbs vectors of four u32; an
 * accumulator vector of four coefficients, limb and part: two v128 of i64. Limbs enter as u - 2^31, so that they are
 * signed; `mask` applies to the last limb.
 */
export function wideAdd(
  acc: usize, streams: usize, stride: usize, count: i32, numerators: usize, groups: usize, limbs: i32, mask: i32,
): void {
  const bias = i32x4.splat(i32.MIN_VALUE);
  const all = i32x4.splat(-1);
  const last = i32x4.splat(mask);
  const stop = numerators + (<usize>count << 3);
  for (let g: usize = 0; g < groups; g++) {
    for (let l = 1; l <= limbs; l++) {
      const keep = l == limbs ? last : all;
      let a0 = v128.load(acc), a1 = v128.load(acc, 16), b0 = v128.load(acc, 32), b1 = v128.load(acc, 48);
      let from = streams;
      for (let at = numerators; at < stop; at += 8, from += stride) {
        const u = v128.xor(v128.and(v128.load(from), keep), bias);
        const n0 = v128.load32_splat(at);
        const n1 = v128.load32_splat(at, 4);
        a0 = i64x2.add(a0, i64x2.extmul_low_i32x4_s(u, n0));
        a1 = i64x2.add(a1, i64x2.extmul_high_i32x4_s(u, n0));
        b0 = i64x2.add(b0, i64x2.extmul_low_i32x4_s(u, n1));
        b1 = i64x2.add(b1, i64x2.extmul_high_i32x4_s(u, n1));
      }
      v128.store(acc, a0);
      v128.store(acc, a1, 16);
      v128.store(acc, b0, 32);
      v128.store(acc, b1, 48);
      acc += 64;
      streams += 16;
    }
  }
}

/**
 * One prime's row of a wide sum. `constants`: one word added to everything, then for each limb the pairs of
 * 2^(32 limb)/D and 2^(32 limb + 20)/D. Accumulators count from -2^62, which the added word takes back.
 */
export function wideFinish(
  out: usize, acc: usize, groups: usize, limbs: i32, constants: usize, record: usize,
): void {
  const q = load<u64>(record);
  const start = load<u64>(constants);
  const q2 = q << 1;
  for (let g: usize = 0; g < groups; g++) {
    for (let lane: usize = 0; lane < 32; lane += 8, out += 8) {
      let sum = start;
      let at = acc + lane;
      let pair = constants + 8;
      for (let part = 0; part < limbs << 1; part++, at += 32, pair += 16) {
        const x = load<u64>(at) + ((<u64>1) << 62);
        sum = reduceOnce(sum + shoup(x, load<u64>(pair), load<u64>(pair, 8), q), q2);
      }
      store<u64>(out, reduceOnce(sum, q));
    }
    acc += (<usize>limbs) << 6;
  }
}

/** acc[i] += values[i] * numerator, i64 += i8 * i64. */
export function smallAdd(acc: usize, values: usize, numerator: i64, n: usize): void {
  for (let i: usize = 0; i < n; i++, acc += 8) {
    store<i64>(acc, load<i64>(acc) + <i64>load<i8>(values + i) * numerator);
  }
}

/** out[i] = acc[i] * constant mod q, the constant's pair at `pair`. */
export function smallFinish(out: usize, acc: usize, pair: usize, n: usize, record: usize): void {
  const q = load<u64>(record);
  for (let i: usize = 0; i < n << 3; i += 8) {
    store<u64>(out + i, mulPair(signedMod(load<i64>(acc + i), record, q), pair, q));
  }
}
