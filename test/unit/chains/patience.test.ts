import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Patience } from '../../../enclave/chains/patience.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const never = new Promise<never>(() => {});

it('patience: ends at the deadline', () => {
  const patience = new Patience(3_000);
  patience.with([never]);
  vi.advanceTimersByTime(2_999);
  expect(patience.signal.aborted).toBe(false);
  vi.advanceTimersByTime(1);
  expect(patience.signal.aborted).toBe(true);
});

it('patience: what is not needed any more has a moment to end by itself', () => {
  const patience = new Patience(3_000);
  patience.with([never]);
  patience.enough();
  vi.advanceTimersByTime(249);
  expect(patience.signal.aborted).toBe(false);
  vi.advanceTimersByTime(1);
  expect(patience.signal.aborted).toBe(true);
});

it('patience: nothing is aborted, and no timer runs, once all have ended', async () => {
  for (const isEnough of [false, true]) {
    const patience = new Patience(3_000);
    patience.with([Promise.resolve(), Promise.reject(new Error('no'))]);
    if (isEnough) patience.enough();
    await vi.advanceTimersByTimeAsync(0);
    patience.enough();
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(10_000);
    expect(patience.signal.aborted).toBe(false);
  }
});
