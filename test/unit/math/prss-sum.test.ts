import { describe, expect, test } from 'vitest';
import { codeOf } from '../../../shared/errors.ts';
import { Kernel } from '../../../shared/math/kernel/kernel.ts';
import { SmallSum, WideSum } from '../../../shared/math/prss-sum.ts';
import { Ring } from '../../../shared/math/ring.ts';
import { nttPrimes, powmod } from '../../oracle/primes.ts';
import { stream } from '../../oracle/stream.ts';

const kernel = await Kernel.load();
const ring = new Ring(kernel, 16, [...nttPrimes(54, 16, 2), ...nttPrimes(60, 16), ...nttPrimes(20, 16)]);
const LIMIT = (1n << 40n) - 1n;
const D = 1_556_755_200n;

const code = (f: () => unknown): string => {
  try {
    f();
  } catch (error) {
    return codeOf(error);
  }
  return 'no error';
};
const numerators = (name: string, count: number): bigint[] =>
  Array.from(new BigUint64Array(stream(name, 8 * count).buffer), (word, i) =>
    i === 0 ? LIMIT : i === 1 ? -LIMIT : i === 2 ? 0n : BigInt.asIntN(40, word),
  );
const expected = (sums: readonly bigint[]): bigint[] =>
  ring.primes.flatMap((q) => sums.map((x) => ((((x % q) + q) % q) * powmod(D % q, q - 2n, q)) % q));

/** Coefficient c of a stream: limb l lies at word 4*(limbs*floor(c/4) + l) + c mod 4. */
function coefficient(bytes: Uint8Array, c: number, limbs: number, bits: number): bigint {
  const words = new Uint32Array(bytes.slice().buffer);
  let u = 0n;
  for (let l = 0; l < limbs; l++) u |= BigInt(words[4 * (limbs * (c >> 2) + l) + (c & 3)]!) << BigInt(32 * l);
  return u & ((1n << BigInt(bits)) - 1n);
}

describe.each([
  { count: 4, limbs: 1, bits: 17 },
  { count: 8, limbs: 2, bits: 64 },
  { count: 16, limbs: 3, bits: 78 },
  { count: 12, limbs: 3, bits: 65 },
  { count: 4, limbs: 4, bits: 128 },
  { count: 8, limbs: 5, bits: 131 },
  { count: 4, limbs: 6, bits: 192 },
])('wide sum of $count coefficients, $limbs limbs, $bits bits', ({ count, limbs, bits }) => {
  const B = 1n << BigInt(bits - 1);

  test.each([0, 1, 7, 8, 9, 21])('WideSum: %i adds are the exact weighted sum', (adds) => {
    const sum = new WideSum(kernel, { count, limbs, bits });
    const exact = new Array<bigint>(count).fill(0n);
    numerators(`wide ${bits} ${adds}`, adds).forEach((numerator, i) => {
      const bytes = stream(`${count} ${bits} ${i}`, sum.sizeBytes);
      sum.add(bytes, numerator);
      bytes.forEach((_, k) => {
        if (k < count) exact[k]! += numerator * (coefficient(bytes, k, limbs, bits) - B);
      });
      bytes.fill(0);
    });
    expect([...sum.finish(ring, D, B)]).toEqual(expected(exact));
  });

  test.each([
    ['largest', LIMIT, 255],
    ['smallest', -LIMIT, 255],
    ['largest numerators of nothing', LIMIT, 0],
    ['smallest numerators of nothing', -LIMIT, 0],
  ] as const)('WideSum: 715 adds of the %s values do not overflow', (_, numerator, byte) => {
    const sum = new WideSum(kernel, { count, limbs, bits });
    const bytes = new Uint8Array(sum.sizeBytes).fill(byte);
    for (let i = 0; i < 715; i++) sum.add(bytes, numerator);
    expect(code(() => sum.add(bytes, numerator))).toBe('BAD_INPUT');
    const u = coefficient(bytes, 0, limbs, bits);
    expect([...sum.finish(ring, D, B)]).toEqual(
      expected(new Array<bigint>(count).fill(715n * numerator * (u - B))),
    );
  });
});

test('SmallSum: is the exact weighted sum, also at its limits', () => {
  const count = 16;
  const sum = new SmallSum(kernel, count);
  const exact = new Array<bigint>(count).fill(0n);
  numerators('small', 50).forEach((numerator, i) => {
    const values = new Int8Array(stream(`small ${i}`, count).buffer);
    sum.add(values, numerator);
    values.forEach((value, c) => {
      exact[c]! += BigInt(value) * numerator;
    });
  });
  expect([...sum.finish(ring, D)]).toEqual(expected(exact));
  for (const value of [127, -128]) {
    const largest = new SmallSum(kernel, 3);
    for (let i = 0; i < 715; i++) largest.add(Int8Array.of(value, 0, 1), LIMIT);
    expect([...largest.finish(ring, D)]).toEqual(expected([715n * BigInt(value) * LIMIT, 0n, 715n * LIMIT]));
    expect(code(() => largest.add(Int8Array.of(1, 2, 3), 1n))).toBe('SESSION_CLOSED');
  }
});

test('zeroization: a finished, and a disposed, sum leaves nothing of its streams in kernel memory', () => {
  const secret = new Uint8Array(8 * 12).fill(0xa5);
  const find = (): boolean => Buffer.from(kernel.bytes.buffer).includes(Buffer.from(secret.subarray(0, 8)));
  const finished = new WideSum(kernel, { count: 8, limbs: 3 });
  finished.add(secret, 5n);
  expect(find()).toBe(true);
  finished.finish(ring, D, 0n);
  expect(find()).toBe(false);
  {
    using disposed = new WideSum(kernel, { count: 8, limbs: 3 });
    for (let i = 0; i < 9; i++) disposed.add(secret, 5n);
  }
  expect(find()).toBe(false);
  {
    using small = new SmallSum(kernel, 64);
    small.add(new Int8Array(64).fill(0xa5), 1n);
    expect(find()).toBe(true);
  }
  expect(find()).toBe(false);
});

test.each([
  ['count not a multiple of 4', () => new WideSum(kernel, { count: 6, limbs: 1 })],
  ['no coefficients', () => new WideSum(kernel, { count: 0, limbs: 1 })],
  ['too many limbs', () => new WideSum(kernel, { count: 4, limbs: 7 })],
  ['fewer bits than limbs', () => new WideSum(kernel, { count: 4, limbs: 3, bits: 64 })],
  ['more bits than limbs', () => new WideSum(kernel, { count: 4, limbs: 3, bits: 97 })],
  ['stream size', () => new WideSum(kernel, { count: 4, limbs: 3 }).add(new Uint8Array(47), 1n)],
  ['numerator', () => new WideSum(kernel, { count: 4, limbs: 1 }).add(new Uint8Array(16), 1n << 40n)],
  [
    'negative numerator',
    () => new WideSum(kernel, { count: 4, limbs: 1 }).add(new Uint8Array(16), -(1n << 40n)),
  ],
  ['small count', () => new SmallSum(kernel, 0)],
  ['small values', () => new SmallSum(kernel, 4).add(new Int8Array(3), 1n)],
  ['denominator', () => new SmallSum(kernel, 4).finish(ring, ring.primes[1]!)],
])('bad input: %s', (_, f) => {
  expect(code(f)).toBe('BAD_INPUT');
});
