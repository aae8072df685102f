import { expect, test } from 'vitest';
import { codeOf } from '../../../shared/errors.ts';
import { counterBlocks, writeCounterBlocks } from '../../../shared/math/counter-blocks.ts';
import { Kernel } from '../../../shared/math/kernel/kernel.ts';
import {
  cbd21SizeBytes,
  sampleCbd21,
  sampleTernary,
  ternarySizeBytes,
} from '../../../shared/math/samplers.ts';
import { stream } from '../../oracle/stream.ts';

const kernel = await Kernel.load();
const code = (f: () => unknown): string => {
  try {
    f();
  } catch (error) {
    return codeOf(error);
  }
  return 'no error';
};
const weight = (x: number): number => x.toString(2).replaceAll('0', '').length;

test('sampleTernary: every byte but 255 gives b mod 3 - 1', () => {
  const all = Uint8Array.from({ length: 257 }, (_, i) => (i === 0 ? 255 : i - 1));
  const { values, consumed } = sampleTernary(kernel, all, 255);
  expect([...values]).toEqual(Array.from({ length: 255 }, (_, b) => (b % 3) - 1));
  expect(consumed).toBe(256);
});

test('sampleTernary: skips 255 wherever it stands and counts what it took', () => {
  const bytes = stream('ternary', ternarySizeBytes(8192)).map((b, i) => (i % 50 === 49 ? 255 : b));
  const kept = bytes.filter((b) => b !== 255).slice(0, 8000);
  const { values, consumed } = sampleTernary(kernel, bytes, 8000);
  expect([...values]).toEqual(Array.from(kept, (b) => (b % 3) - 1));
  expect(bytes.subarray(0, consumed).filter((b) => b !== 255).length).toBe(8000);
  expect(bytes[consumed - 1]).not.toBe(255);
});

test('sampleTernary: a stream without enough draws is refused, never padded', () => {
  expect(code(() => sampleTernary(kernel, new Uint8Array(100).fill(255), 1))).toBe('BAD_INPUT');
  expect(code(() => sampleTernary(kernel, new Uint8Array(99), 100))).toBe('BAD_INPUT');
  expect(sampleTernary(kernel, new Uint8Array(100), 100).consumed).toBe(100);
});

test('sampleCbd21: is the difference of two 21-bit weights; the other 6 bits do not count', () => {
  const count = 1000;
  const bytes = stream('cbd', cbd21SizeBytes(count));
  bytes.set([255, 255, 31, 0, 0, 0, 0, 0, 224, 255, 255, 255]);
  const view = new DataView(bytes.buffer);
  const expected = Array.from({ length: count }, (_, i) => {
    const word = Number(view.getBigUint64(Math.min(6 * i, bytes.length - 8), true) & 0xffffffffffffn);
    const whole = 6 * i <= bytes.length - 8 ? word : Buffer.from(bytes).readUIntLE(6 * i, 6);
    return weight(whole % 2 ** 21) - weight(Math.floor(whole / 2 ** 24) % 2 ** 21);
  });
  expect(expected.slice(0, 2)).toEqual([21, -21]);
  expect([...sampleCbd21(kernel, bytes, count)]).toEqual(expected);
  expect(code(() => sampleCbd21(kernel, bytes.subarray(0, 5), 1))).toBe('BAD_INPUT');
});

test('samplers: have the moments of their distributions', () => {
  const count = 1 << 16;
  const moments = (values: Int8Array): [number, number] => [
    values.reduce((sum, x) => sum + x, 0) / count,
    values.reduce((sum, x) => sum + x * x, 0) / count,
  ];
  const [ternaryMean, ternarySquare] = moments(
    sampleTernary(kernel, stream('moments', ternarySizeBytes(count)), count).values,
  );
  const [errorMean, errorSquare] = moments(
    sampleCbd21(kernel, stream('moments 2', cbd21SizeBytes(count)), count),
  );
  expect(Math.abs(ternaryMean)).toBeLessThan(0.02);
  expect(Math.abs(ternarySquare - 2 / 3)).toBeLessThan(0.02);
  expect(Math.abs(errorMean)).toBeLessThan(0.07);
  expect(Math.abs(errorSquare - 10.5)).toBeLessThan(0.4);
});

test('counterBlocks: block j is base + j modulo 2^128, through every carry', () => {
  const bases = [0n, (1n << 128n) - 5n, (1n << 64n) - 3n, (1n << 32n) - 2n, (1n << 96n) - 1n, 0x7fffffffn];
  bases.push((1n << 127n) + (1n << 31n) - 4n, BigInt(`0x${Buffer.from(stream('base', 16)).toString('hex')}`));
  for (const base of bases) {
    const bytes = Uint8Array.from({ length: 16 }, (_, i) => Number((base >> BigInt(8 * i)) & 255n));
    const expected = Array.from({ length: 300 }, (_, j) => (base + BigInt(j)) % (1n << 128n));
    const read = (blocks: Uint8Array): bigint[] => {
      const words = new BigUint64Array(blocks.slice().buffer);
      return Array.from({ length: words.length / 2 }, (_, j) => words[2 * j]! | (words[2 * j + 1]! << 64n));
    };
    expect(read(counterBlocks(bytes, 300))).toEqual(expected);
    for (const offset of [1, 4]) {
      const room = new Uint8Array(16 * 300 + 8);
      writeCounterBlocks(bytes, room.subarray(offset, offset + 4800));
      expect(read(room.subarray(offset, offset + 4800))).toEqual(expected);
      expect(room.subarray(0, offset).every((x) => x === 0)).toBe(true);
      expect(room.subarray(offset + 4800).every((x) => x === 0)).toBe(true);
    }
  }
  expect(counterBlocks(new Uint8Array(16), 0).length).toBe(0);
});

test('counterBlocks: refuses other sizes', () => {
  expect(code(() => counterBlocks(new Uint8Array(15), 1))).toBe('BAD_INPUT');
  expect(code(() => writeCounterBlocks(new Uint8Array(16), new Uint8Array(17)))).toBe('BAD_INPUT');
});
