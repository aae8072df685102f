import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { EnclaveClock } from '../../../enclave/membership/clock.ts';
import { ClockSupport } from '../../../enclave/membership/clock-support.ts';
import type { Nsm } from '../../../enclave/nsm/nsm.ts';
import { committee } from '../../../shared/committee.ts';
import { digest, type PartyId, partyId } from '../../../shared/ids.ts';
import { silent } from '../../../shared/log.ts';
import { isClockReading, signClockReading } from '../../../shared/membership/clock-reading.ts';
import { mockNsm } from '../../simulator/attested.ts';
import { memberships } from '../../simulator/simulation.ts';

const START_MS = Date.now();
let clock: EnclaveClock | undefined;
afterEach(() => clock?.stop());

/** A security module and a machine under the test's hands. */
class Bench {
  monotonicMs = 1_000;
  stampMs = START_MS;
  answerMs = 0;
  fails = false;
  readonly #inner: Nsm = mockNsm({ nowMs: () => this.stampMs });

  readonly nsm: Nsm = {
    ...this.#inner,
    attest: async (request) => {
      if (this.fails) throw new Error('no device');
      const document = await this.#inner.attest(request);
      this.monotonicMs += this.answerMs;
      return document;
    },
  };

  async start(): Promise<EnclaveClock> {
    clock = await EnclaveClock.start({ nsm: this.nsm, log: silent, monotonicMs: () => this.monotonicMs });
    return clock;
  }

  pass(ms: number): void {
    this.monotonicMs += ms;
    this.stampMs += ms;
  }
}

describe('enclave clock', () => {
  it('clock: is the stamp plus the monotonic time since it was asked for', async () => {
    const bench = new Bench();
    bench.answerMs = 700;
    const { nowMs } = { nowMs: (await bench.start()).nowMs.bind(clock) };
    // Asked for 700 ms ago: the stamp counts from then, so the clock is never behind.
    expect(nowMs()).toBe(START_MS + 700);
    bench.monotonicMs += 5_000;
    expect(nowMs()).toBe(START_MS + 5_700);
  });

  it('clock: follows a new stamp, and never steps back', async () => {
    const bench = new Bench();
    const started = await bench.start();
    bench.monotonicMs += 10_000;
    expect(started.nowMs()).toBe(START_MS + 10_000);
    bench.stampMs = START_MS + 4_000;
    expect(await started.renew()).toBe(true);
    expect(started.nowMs()).toBe(START_MS + 10_000);
    bench.monotonicMs += 3_000;
    expect(started.nowMs()).toBe(START_MS + 10_000);
    bench.monotonicMs += 5_000;
    expect(started.nowMs()).toBe(START_MS + 12_000);
    bench.stampMs = START_MS + 60_000;
    await started.renew();
    expect(started.nowMs()).toBe(START_MS + 60_000);
  });

  it('clock: a stamp that took longer than a second is discarded, and so is none at all', async () => {
    const bench = new Bench();
    const started = await bench.start();
    bench.stampMs = START_MS + 3_600_000;
    bench.answerMs = 1_001;
    expect(await started.renew()).toBe(false);
    bench.fails = true;
    expect(await started.renew()).toBe(false);
    expect(started.nowMs()).toBe(START_MS + 1_001);
  });
});

describe('clock readings', () => {
  const all = memberships(committee(4, 1), 'clock');
  const [one, two, three] = [1, 2, 3].map((i) => partyId(i)) as [PartyId, PartyId, PartyId];
  const nonce = new Uint8Array(32).fill(7);

  it('clock reading: is signed by who read it, for who asked, with the nonce and the time', () => {
    const reading = signClockReading(all.get(two)!, one, nonce, START_MS + 0.7);
    expect(reading.timeMs).toBe(BigInt(START_MS));
    expect(isClockReading(all.get(one)!, two, reading)).toBe(true);
    expect(isClockReading(all.get(one)!, three, reading)).toBe(false);
    expect(isClockReading(all.get(three)!, two, reading)).toBe(false);
    const changed = [
      { ...reading, timeMs: reading.timeMs + 1n },
      { ...reading, timeMs: 2n ** 63n },
      { ...reading, nonce: new Uint8Array(32) },
    ];
    for (const each of changed) expect(isClockReading(all.get(one)!, two, each)).toBe(false);
    const elsewhere = { ...all.get(one)!, networkId: digest('22'.repeat(32)) };
    expect(isClockReading(elsewhere, two, reading)).toBe(false);
  });
});

describe('support of a clock', () => {
  const parties = Array.from({ length: 12 }, (_, i) => partyId(i + 2, 13));
  const nonceOf = (party: PartyId): Uint8Array => new Uint8Array(32).fill(party);
  const read = (support: ClockSupport, party: PartyId, offsetMs: number, afterMs = 10, atMs = 0): void => {
    support.asked(party, nonceOf(party), atMs);
    const reading = { nonce: nonceOf(party), timeMs: BigInt(START_MS + offsetMs), signature: nonceOf(party) };
    support.read(party, reading, START_MS, atMs + afterMs);
  };

  it('clock support: t + 1 members within 60 s make it good, t do not', () => {
    const support = new ClockSupport(5);
    for (const party of parties.slice(0, 4)) read(support, party, 0);
    expect(support.isGood(20)).toBe(false);
    read(support, parties[4]!, -60_000);
    expect(support.isGood(20)).toBe(true);
  });

  it('clock support: t liars neither confirm a wrong clock nor spoil a right one', () => {
    const t = 4;
    const lie = fc.integer({ min: -3_600_000, max: 3_600_000 });
    fc.assert(
      fc.property(fc.array(lie, { minLength: t, maxLength: t }), fc.boolean(), (lies, isRight) => {
        const support = new ClockSupport(t + 1);
        // Honest members all show the true time; this node is right, or ten minutes off.
        for (const party of parties.slice(t)) read(support, party, isRight ? 0 : 600_000);
        lies.forEach((offsetMs, i) => {
          read(support, parties[i]!, offsetMs);
        });
        expect(support.isGood(20)).toBe(isRight);
      }),
    );
  });

  it('clock support: a late, replayed, unasked or outdated reading counts nothing', () => {
    const support = new ClockSupport(1);
    const [party, other] = [parties[0]!, parties[1]!];
    read(support, party, 0, 5_001);
    expect(support.isGood(6_000)).toBe(false);
    const reading = { nonce: nonceOf(party), timeMs: BigInt(START_MS), signature: nonceOf(party) };
    support.read(party, reading, START_MS, 6_000);
    support.read(other, reading, START_MS, 6_000);
    support.asked(party, nonceOf(other), 6_000);
    support.read(party, reading, START_MS, 6_001);
    expect(support.isGood(6_001)).toBe(false);
    read(support, party, 0, 10, 7_000);
    expect(support.isGood(7_010)).toBe(true);
    expect(support.isGood(7_010 + 90_001)).toBe(false);
  });

  it('clock support: a member that stops agreeing stops supporting', () => {
    const support = new ClockSupport(1);
    read(support, parties[0]!, 0);
    read(support, parties[0]!, 60_001, 10, 100);
    expect(support.isGood(200)).toBe(false);
  });
});
