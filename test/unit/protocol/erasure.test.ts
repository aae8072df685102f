import { expect, test } from 'vitest';
import { erase } from '../../../shared/protocol/prss/erasure.ts';

test('erase: an array with a buffer of its own is gone', () => {
  const words = BigUint64Array.of(1n, 2n, 3n);
  erase(words);
  expect(words.length).toBe(0);
  expect(words.buffer.detached).toBe(true);
});

test('erase: of a shared buffer exactly the part is zeroed, and the rest stays usable', () => {
  const whole = Uint8Array.from({ length: 8 }, (_, i) => i + 1);
  erase(whole.subarray(2, 5));
  expect([...whole]).toEqual([1, 2, 0, 0, 0, 6, 7, 8]);
});
