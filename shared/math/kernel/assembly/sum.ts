// Exact integer sums of share contributions. Secret streams, public numerators. Constant time.
import { mulPair, signedMod } from './modulus';
import { reduceOnce, shoup } from './word';

const LOW: u64 = 0xffffffff;

/**
 * Adds `streams` streams (at most 8, `stride` bytes apart) times their numerators (n0 + n1 * 2^20; i32 pairs
 * at `numerators`, 0 <= n0 < 2^20, |n1| <= 2^20) to the accumulators. A stream is groups x limbs vectors of
 * four u32; an accumulator vector of four coefficients, limb and part: two v128 of i64. Limbs enter as u -
 * 2^31, so that they are signed; `mask` applies to the last limb.
 */
export function wideAdd(
  acc: usize, streams: usize, stride: usize, count: i32, numerators: usize, groups: usize, limbs: i32,
  mask: i32,
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
 * Turns the accumulators, each counted from -2^62, into (limbs + 3) / 2 unsigned words per coefficient by
 * carrying, in place: word w of a group's coefficient c comes to lie at 32w + 8c of the group.
 */
export function wideCarry(acc: usize, groups: usize, limbs: i32): void {
  const words = (limbs + 3) >> 1;
  const bias = (<u64>1) << 62;
  for (let g: usize = 0; g < groups; g++) {
    for (let lane: usize = 0; lane < 32; lane += 8) {
      const column = acc + lane;
      let carry: u64 = 0;
      let out = column;
      let at = column;
      for (let l = 0, word: u64 = 0; l < words << 1; l++) {
        let digit = carry & LOW;
        carry >>= 32;
        if (l < limbs) {
          const low = load<u64>(at) + bias;
          const high = load<u64>(at, 32) + bias;
          const sum = digit + (low & LOW) + ((high & 0xfff) << 20);
          digit = sum & LOW;
          carry += (sum >> 32) + (low >> 32) + (high >> 12);
          at += 64;
        }
        if (l & 1) {
          store<u64>(out, word | (digit << 32));
          out += 32;
        } else word = digit;
      }
    }
    acc += (<usize>limbs) << 6;
  }
}

/**
 * One prime's row of a carried wide sum. `constants`: one word added to everything, then the pairs of
 * 2^(64w)/D.
 */
export function wideFinish(
  out: usize, acc: usize, groups: usize, limbs: i32, constants: usize, record: usize,
): void {
  const q = load<u64>(record);
  const q2 = q << 1;
  const start = load<u64>(constants);
  const stop = constants + 8 + ((<usize>(limbs + 3) >> 1) << 4);
  for (let g: usize = 0; g < groups; g++) {
    for (let lane: usize = 0; lane < 32; lane += 8, out += 8) {
      let sum = start;
      let at = acc + lane;
      for (let pair = constants + 8; pair < stop; pair += 16, at += 32) {
        sum = reduceOnce(sum + shoup(load<u64>(at), load<u64>(pair), load<u64>(pair, 8), q), q2);
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
