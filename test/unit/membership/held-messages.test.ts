import { describe, expect, it } from 'vitest';
import { HeldMessages } from '../../../enclave/membership/held-messages.ts';
import { partyId } from '../../../shared/ids.ts';

const [two, three] = [partyId(2), partyId(3)];
const MIB = 1 << 20;
const MINUTE_MS = 60_000;

describe('held messages', () => {
  it('held messages: come out in their order, once', () => {
    const held = new HeldMessages<string>();
    expect(held.hold(two, 'a', 1, 0)).toBe(true);
    expect(held.hold(three, 'b', 1, 1)).toBe(true);
    expect(held.hold(two, 'c', 1, 2)).toBe(true);
    expect(held.release(3).map(({ from, message }) => [from, message])).toEqual([
      [two, 'a'],
      [three, 'b'],
      [two, 'c'],
    ]);
    expect(held.release(3)).toEqual([]);
  });

  it('held messages: sixteen mebibytes of a peer, whatever others sent', () => {
    const held = new HeldMessages<string>();
    for (let i = 0; i < 15; i++) expect(held.hold(two, 'a', MIB, 0)).toBe(true);
    expect(held.hold(two, 'a', MIB, 0)).toBe(false);
    expect(held.hold(two, 'a', MIB / 2, 0)).toBe(true);
    expect(held.hold(three, 'b', MIB, 0)).toBe(true);
    held.release(0);
    expect(held.hold(two, 'a', MIB, 0)).toBe(true);
  });

  it('held messages: what is older than five minutes is gone, and its room is free', () => {
    const held = new HeldMessages<string>();
    held.hold(two, 'old', 15 * MIB, 0);
    held.hold(three, 'old too', 1, 1);
    held.hold(three, 'later', 1, 3 * MINUTE_MS);
    expect(held.hold(two, 'new', 15 * MIB, 5 * MINUTE_MS)).toBe(false);
    expect(held.hold(two, 'new', 15 * MIB, 5 * MINUTE_MS + 2)).toBe(true);
    expect(held.release(8 * MINUTE_MS).map(({ message }) => message)).toEqual(['later', 'new']);
    held.hold(two, 'old', 1, 0);
    expect(held.release(6 * MINUTE_MS)).toEqual([]);
  });
});
