import { expect, test } from 'vitest';
import { Ongoing } from '../../../enclave/gateway/ongoing.ts';

test('ongoing: what is asked for at once is done once, and by name', async () => {
  const ongoing = new Ongoing<number>();
  let made = 0;
  const done = Promise.withResolvers<void>();
  const make = async (): Promise<number> => {
    made += 1;
    await done.promise;
    return made;
  };
  const all = [ongoing.get('a', make), ongoing.get('a', make), ongoing.get('b', make)];
  expect(made).toBe(2);
  done.resolve();
  expect(await Promise.all(all)).toEqual([2, 2, 2]);
});

test('ongoing: nothing is remembered, neither a result nor a failure', async () => {
  const ongoing = new Ongoing<number>();
  expect(await ongoing.get('a', async () => 1)).toBe(1);
  await expect(
    ongoing.get('a', async () => {
      throw new RangeError('no');
    }),
  ).rejects.toThrow('no');
  expect(await ongoing.get('a', async () => 2)).toBe(2);
});
