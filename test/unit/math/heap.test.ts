import { expect, test } from 'vitest';
import { codeOf } from '../../../shared/errors.ts';
import { Heap } from '../../../shared/math/kernel/heap.ts';

const code = (f: () => unknown): string => {
  try {
    f();
  } catch (error) {
    return codeOf(error);
  }
  return 'no error';
};

test('heap: gives disjoint aligned ranges and joins what is released, in any order', () => {
  for (const order of [
    [0, 1, 2],
    [2, 1, 0],
    [1, 0, 2],
    [0, 2, 1],
  ]) {
    const heap = new Heap(10, 1024);
    const taken = [heap.allocate(1), heap.allocate(65), heap.allocate(64)];
    expect(taken).toEqual([64, 128, 256]);
    for (const index of order) heap.release(taken[index]!);
    expect(heap.allocate(960)).toBe(64);
  }
});

test('heap: fills holes that fit and skips those that do not', () => {
  const heap = new Heap(0, 1024);
  const hole = heap.allocate(64);
  heap.allocate(64);
  heap.release(hole);
  expect(heap.allocate(128)).toBe(128);
  expect(heap.allocate(10)).toBe(hole);
});

test('heap: refuses what does not fit with BUSY, and serves it after a release', () => {
  const heap = new Heap(0, 256);
  const at = heap.allocate(200);
  expect(code(() => heap.allocate(1))).toBe('BUSY');
  heap.release(at);
  expect(heap.allocate(256)).toBe(0);
});

test('heap: refuses a second release', () => {
  const heap = new Heap(0, 256);
  const at = heap.allocate(64);
  heap.release(at);
  expect(code(() => heap.release(at))).toBe('INTERNAL');
});
