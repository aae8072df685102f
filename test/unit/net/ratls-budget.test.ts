import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  HANDSHAKE_LIMITS,
  HandshakeBudget,
  MEMBERS_HANDSHAKE_LIMITS,
} from '../../../enclave/net/handshake-budget.ts';
import { partyId } from '../../../shared/ids.ts';

const { costs, share, burstMs, memberShare, memberBurstMs } = HANDSHAKE_LIMITS;

/** A budget and the time it sees. */
function budget(limits = HANDSHAKE_LIMITS) {
  const time = { nowMs: 0 };
  return { time, budget: new HandshakeBudget(limits, () => time.nowMs) };
}

describe('handshake budget', () => {
  it('handshake budget: whatever comes, what is spent stays below the share and one burst', () => {
    const step = fc.record({
      waitMs: fc.integer({ min: 0, max: 200 }),
      party: fc.integer({ min: 1, max: 4 }),
      what: fc.constantFrom('client', 'peer', 'bad-peer', 'no-tls'),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        const { time, budget: all } = budget();
        let spentMs = 0;
        for (const { waitMs, party, what } of steps) {
          time.nowMs += waitMs;
          if (!all.allowsTls()) continue;
          spentMs += costs.tlsMs;
          if (what === 'no-tls') all.failed();
          if (what === 'client' || what === 'no-tls' || !all.allowsCertificate()) continue;
          if (all.allowsDocumentOf(partyId(party))) spentMs += costs.evidenceMs;
          if (what === 'bad-peer') all.failed(partyId(party));
        }
        expect(spentMs).toBeLessThanOrEqual(burstMs + share * time.nowMs + 1e-6);
      }),
    );
  });

  it('handshake budget: failing is dearer than succeeding', () => {
    const runs = (fails: boolean): number => {
      const { budget: all } = budget();
      let count = 0;
      while (all.allowsTls()) {
        count += 1;
        if (fails) all.failed();
      }
      return count;
    };
    expect(runs(false)).toBe(Math.floor(burstMs / costs.tlsMs));
    expect(runs(true)).toBeLessThanOrEqual(Math.ceil(burstMs / (costs.tlsMs + costs.failureMs)));
  });

  it('handshake budget: one member cannot use up what the others need', () => {
    const { budget: all, time } = budget();
    const spend = (party: number): number => {
      let count = 0;
      while (all.allowsTls() && all.allowsCertificate() && all.allowsDocumentOf(partyId(party))) count += 1;
      return count;
    };
    const first = spend(1);
    expect(first).toBe(Math.floor(memberBurstMs / (costs.tlsMs + costs.evidenceMs)));
    expect(all.allowsDocumentOf(partyId(2))).toBe(true);
    time.nowMs += 10_000;
    expect(spend(1)).toBeLessThanOrEqual(
      Math.ceil((10_000 * memberShare) / (costs.tlsMs + costs.evidenceMs)),
    );
  });

  it('handshake budget: both services together stay below 5% of a core, and a burst of a second', () => {
    expect(share + MEMBERS_HANDSHAKE_LIMITS.share).toBeLessThan(0.05);
    expect(burstMs + MEMBERS_HANDSHAKE_LIMITS.burstMs).toBeLessThanOrEqual(1_000);
    // Of the largest committee all members may come at once, as after a restart.
    const all = 12 * (costs.tlsMs + costs.evidenceMs);
    expect(MEMBERS_HANDSHAKE_LIMITS.burstMs).toBeGreaterThan(2 * all);
  });

  it.each([
    ['ingress', HANDSHAKE_LIMITS],
    ['members', MEMBERS_HANDSHAKE_LIMITS],
  ])('handshake budget: %s: comes back within seconds, whatever failed before', (_name, limits) => {
    const { budget: all, time } = budget(limits);
    for (let i = 0; i < 1_000; i++) all.failed();
    expect(all.allowsTls()).toBe(false);
    for (let i = 0; i < 100; i++) all.failed(partyId(1));
    time.nowMs += 5_000;
    expect([all.allowsTls(), all.allowsCertificate(), all.allowsDocumentOf(partyId(1))]).toEqual([
      true,
      true,
      true,
    ]);
  });
});
