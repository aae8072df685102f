import { describe, expect, it } from 'vitest';
import { costOf, MessageBudget } from '../../../enclave/membership/message-budget.ts';
import { partyId } from '../../../shared/ids.ts';

const [two, three] = [partyId(2), partyId(3)];

/** A budget under a clock that the pauses themselves move. */
function budget(limits = { burst: 10, perSecond: 2 }) {
  let nowMs = 1_000;
  const pauses: number[] = [];
  const pause = async (ms: number): Promise<void> => {
    pauses.push(ms);
    nowMs += ms;
  };
  const pass = (ms: number): void => {
    nowMs += ms;
  };
  return { pauses, pass, budget: new MessageBudget(() => nowMs, limits, pause) };
}

describe('message budget', () => {
  it('message budget: a burst is free, then each unit takes its time', async () => {
    const { budget: of, pauses } = budget();
    for (let i = 0; i < 10; i++) await of.take(two, 1);
    expect(pauses).toEqual([]);
    for (let i = 0; i < 3; i++) await of.take(two, 1);
    expect(pauses).toEqual([500, 500, 500]);
    await of.take(two, 16);
    expect(pauses.at(-1)).toBe(8_000);
  });

  it('message budget: nobody waits for another member', async () => {
    const { budget: of, pauses } = budget();
    await of.take(two, 11);
    await of.take(three, 10);
    expect(pauses).toEqual([500]);
  });

  it('message budget: a quiet time fills it again, never above its size', async () => {
    const { budget: of, pauses, pass } = budget();
    await of.take(two, 10);
    pass(2_000);
    await of.take(two, 4);
    expect(pauses).toEqual([]);
    pass(3_600_000);
    await of.take(two, 10);
    await of.take(two, 1);
    expect(pauses).toEqual([500]);
  });

  it('message budget: who sends on several connections at once waits for all of them', async () => {
    const { budget: of, pauses } = budget();
    await Promise.all(Array.from({ length: 14 }, () => of.take(two, 1)));
    expect(pauses.length).toBeGreaterThanOrEqual(2);
    expect(pauses.reduce((a, b) => a + b, 0)).toBeGreaterThanOrEqual(2_000);
  });

  it('message budget: what may be written to disk is dearer', () => {
    expect(costOf({ kind: 'incarnation-refused', highest: undefined })).toBeGreaterThan(
      costOf({ kind: 'clock-asked', nonce: new Uint8Array(32) }),
    );
  });
});
