import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { HeadFloor } from '../../../enclave/chains/head-floor.ts';
import { KmsError } from '../../../shared/errors.ts';
import { CHAIN_ID } from '../../simulator/fake-chain.ts';
import { MemoryStore } from '../../simulator/memory-store.ts';

const GATHER_MS = 2_000;
let store: MemoryStore;
let writes: number;
let isFull: boolean;

beforeEach(() => {
  vi.useFakeTimers();
  store = new MemoryStore();
  [writes, isFull] = [0, false];
  const put = store.put.bind(store);
  store.put = async (...what) => {
    if (isFull) throw new KmsError('STORE_FAILED', 'no space');
    writes += 1;
    await put(...what);
  };
});

afterEach(() => {
  vi.useRealTimers();
});

/** From now on writes end when they are let. */
function slowly(): { readonly end: () => void; readonly most: number } {
  const { promise, resolve: end } = Promise.withResolvers<void>();
  const put = store.put.bind(store);
  const state = { end, underWay: 0, most: 0 };
  store.put = async (...what) => {
    state.most = Math.max(state.most, ++state.underWay);
    await promise;
    await put(...what);
    state.underWay -= 1;
  };
  return state;
}

const open = (): Promise<HeadFloor> => HeadFloor.open(store, CHAIN_ID);
const at = (number: bigint, timestampS: bigint) => ({ number, timestampS });
const durable = async (): Promise<bigint> => (await open()).number;

describe('head floor', () => {
  it('head floor: the first head of a life is durable before it is believed, and it is never lowered', async () => {
    const floor = await open();
    expect(floor.number).toBe(0n);
    await floor.raise(at(7n, 100n));
    expect(await durable()).toBe(7n);
    await floor.raise(at(6n, 300n));
    expect([floor.number, await durable(), writes]).toEqual([7n, 7n, 1]);
    const again = await open();
    await again.raise(at(8n, 101n));
    expect(await durable()).toBe(8n);
  });

  it('head floor: heads gather for two seconds, and the newest is written then, once', async () => {
    const floor = await open();
    await floor.raise(at(7n, 100n));
    for (const n of [8n, 9n, 10n]) await floor.raise(at(n, 93n + n));
    expect([floor.number, await durable(), writes]).toEqual([10n, 7n, 1]);
    await vi.advanceTimersByTimeAsync(GATHER_MS);
    expect([await durable(), writes]).toEqual([10n, 2]);
    await vi.advanceTimersByTimeAsync(10 * GATHER_MS);
    expect(writes).toBe(2);
    await floor.raise(at(11n, 104n));
    await vi.advanceTimersByTimeAsync(GATHER_MS);
    expect([await durable(), writes]).toEqual([11n, 3]);
  });

  it('head floor: no head is believed that is more than ten seconds younger than what is durable', async () => {
    const floor = await open();
    await floor.raise(at(7n, 100n));
    isFull = true;
    await floor.raise(at(8n, 110n));
    await vi.advanceTimersByTimeAsync(GATHER_MS);
    await expect(floor.raise(at(9n, 111n))).rejects.toThrow(
      expect.objectContaining({ code: 'STORE_FAILED' }),
    );
    expect([floor.number, await durable()]).toEqual([8n, 7n]);
    isFull = false;
    await floor.raise(at(9n, 111n));
    expect([floor.number, await durable()]).toEqual([9n, 9n]);
  });

  it('head floor: what was gathered never comes behind a newer one', async () => {
    const floor = await open();
    await floor.raise(at(7n, 100n));
    await floor.raise(at(8n, 101n));
    const slow = slowly();
    const raising = floor.raise(at(60n, 200n));
    await vi.advanceTimersByTimeAsync(GATHER_MS);
    slow.end();
    await raising;
    expect([await durable(), writes]).toEqual([60n, 2]);
    await vi.advanceTimersByTimeAsync(GATHER_MS);
    expect([await durable(), writes]).toEqual([60n, 2]);
  });

  it('head floor: one write at a time', async () => {
    const floor = await open();
    await floor.raise(at(7n, 100n));
    const slow = slowly();
    for (const n of [8n, 9n]) {
      await floor.raise(at(n, 93n + n));
      await vi.advanceTimersByTimeAsync(GATHER_MS);
    }
    slow.end();
    await vi.advanceTimersByTimeAsync(GATHER_MS);
    expect([await durable(), writes, slow.most]).toEqual([9n, 3, 1]);
  });

  it('head floor: what is being written is waited for, not written beside', async () => {
    const floor = await open();
    await floor.raise(at(7n, 100n));
    const slow = slowly();
    await floor.raise(at(8n, 109n));
    await vi.advanceTimersByTimeAsync(GATHER_MS);
    const raising = floor.raise(at(9n, 115n));
    await vi.advanceTimersByTimeAsync(1);
    expect([floor.number, writes]).toEqual([8n, 1]);
    slow.end();
    await raising;
    expect([floor.number, await durable(), writes]).toEqual([9n, 8n, 2]);
    await vi.advanceTimersByTimeAsync(GATHER_MS);
    expect(await durable()).toBe(9n);
  });
});
