import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Facts,
  type Phase,
  phaseAfter,
  requireService,
  type Service,
  serves,
} from '../../../enclave/membership/phases.ts';

const ends = ['recover', 'superseded', 'stopped'] as const;
const early = ['unjoined', 'founding', 'boot', 'unseal', 'catch-up'] as const;
const phases: readonly Phase[] = [...early, 'ready', 'degraded', 'unanchored', ...ends];
const work: readonly Service[] = ['protocols', 'generate-key', 'read-keys', 'decrypt', 'user-decrypt'];
const services: readonly Service[] = ['join', 'membership', 'anchor', ...work];
const good: Facts = {
  ...{ founding: false, booting: true, recalled: true, unsealed: true },
  ...{ acknowledged: true, clockGood: true, anchored: true, lost: false, superseded: false, stopped: false },
};
const newborn: Facts = { ...good, founding: true, booting: false, recalled: false };
const facts = fc.record({
  founding: fc.boolean(),
  booting: fc.boolean(),
  recalled: fc.boolean(),
  unsealed: fc.boolean(),
  acknowledged: fc.boolean(),
  clockGood: fc.boolean(),
  anchored: fc.boolean(),
  lost: fc.boolean(),
  superseded: fc.boolean(),
  stopped: fc.boolean(),
});

describe('phases', () => {
  it('phases: nothing is generated, decrypted or read before ready', () => {
    for (const phase of [...early, ...ends]) {
      for (const service of work) expect(serves(phase, service)).toBe(false);
    }
    const served = (phase: Phase): readonly Service[] => services.filter((one) => serves(phase, one));
    expect(served('unjoined')).toEqual(['join']);
    expect(served('founding')).toEqual(['membership']);
    expect(served('boot')).toEqual([]);
    expect(served('unseal')).toEqual([]);
    expect(served('catch-up')).toEqual(['join', 'membership']);
    expect(served('ready')).toEqual(services);
  });

  it('phases: degraded does everything but user decryption', () => {
    expect(services.filter((service) => !serves('degraded', service))).toEqual(['user-decrypt']);
  });

  it('phases: unanchored anchors, and does no work', () => {
    const served = ['join', 'membership', 'anchor', 'read-keys'];
    expect(services.filter((service) => serves('unanchored', service))).toEqual(served);
  });

  it('phases: recover, superseded and stopped do nothing, for good', () => {
    for (const phase of ends) for (const service of services) expect(serves(phase, service)).toBe(false);
    fc.assert(
      fc.property(facts, (now) => {
        expect(phaseAfter('stopped', now)).toBe('stopped');
        expect(phaseAfter('superseded', now)).toBe(now.stopped ? 'stopped' : 'superseded');
        const worse = now.stopped ? 'stopped' : now.superseded ? 'superseded' : 'recover';
        expect(phaseAfter('recover', now)).toBe(worse);
      }),
    );
  });

  it('phases: ready needs an open state, acknowledgements, a clock and an anchor, whatever came before', () => {
    const start = fc.constantFrom(
      ...phases.filter((phase) => !['ready', 'degraded', 'unanchored'].includes(phase)),
    );
    fc.assert(
      fc.property(start, fc.array(facts, { maxLength: 6 }), (from, course) => {
        const end = course.reduce((phase, now) => phaseAfter(phase, now), from);
        const last = course.at(-1);
        if (last === undefined || end !== 'ready') return;
        const { acknowledged, clockGood, anchored, lost, superseded, stopped } = last;
        expect({ acknowledged, clockGood, anchored, lost, superseded, stopped }).toEqual({
          ...{ acknowledged: true, clockGood: true, anchored: true },
          ...{ lost: false, superseded: false, stopped: false },
        });
        if (from !== 'catch-up') expect(course.some(({ unsealed }) => unsealed)).toBe(true);
        if (from === 'unjoined') expect(course.some((one) => one.founding || one.booting)).toBe(true);
        // A later life opens nothing before others have told it what they keep.
        if (from === 'boot') expect(course.some(({ recalled }) => recalled)).toBe(true);
      }),
    );
  });

  it('phases: a phase under the same facts stays', () => {
    fc.assert(
      fc.property(fc.constantFrom(...phases), facts, (from, now) => {
        const once = phaseAfter(from, now);
        expect(phaseAfter(once, now)).toBe(once);
      }),
    );
  });

  it.each<[Phase, Facts, Partial<Facts>, Phase]>([
    ['unjoined', good, { booting: false }, 'unjoined'],
    ['unjoined', good, {}, 'ready'],
    ['unjoined', good, { recalled: false }, 'boot'],
    ['boot', good, { unsealed: false }, 'unseal'],
    ['unseal', good, { unsealed: false }, 'unseal'],
    ['unseal', good, { acknowledged: false }, 'catch-up'],
    ['unjoined', newborn, {}, 'ready'],
    ['unjoined', newborn, { unsealed: false }, 'founding'],
    ['founding', newborn, { acknowledged: false }, 'catch-up'],
    ['founding', newborn, { lost: true, unsealed: false }, 'recover'],
    // Tier 1 that opens says more than a name that a configuration gives.
    ['unjoined', newborn, { booting: true }, 'boot'],
    ['catch-up', good, { clockGood: false }, 'catch-up'],
    ['ready', good, { clockGood: false }, 'degraded'],
    ['ready', good, { acknowledged: false }, 'catch-up'],
    ['degraded', good, {}, 'ready'],
    ['degraded', good, { acknowledged: false }, 'catch-up'],
    ['catch-up', good, { anchored: false }, 'unanchored'],
    ['ready', good, { anchored: false }, 'unanchored'],
    ['degraded', good, { anchored: false }, 'unanchored'],
    ['unanchored', good, {}, 'ready'],
    ['unanchored', good, { clockGood: false }, 'degraded'],
    ['unanchored', good, { acknowledged: false }, 'catch-up'],
    ['unanchored', good, { lost: true }, 'recover'],
    ['ready', good, { lost: true }, 'recover'],
    ['boot', good, { lost: true }, 'recover'],
    ['ready', good, { superseded: true }, 'superseded'],
    ['ready', good, { superseded: true, lost: true }, 'superseded'],
    ['ready', good, { superseded: true, stopped: true }, 'stopped'],
  ])('phases: from %s under %o with %o to %s', (from, under, change, to) => {
    expect(phaseAfter(from, { ...under, ...change })).toBe(to);
  });

  it('phases: a refusal is UNAVAILABLE, and CONFLICT once stopped', () => {
    for (const phase of phases) {
      for (const service of services.filter((one) => !serves(phase, one))) {
        const code = phase === 'stopped' ? 'CONFLICT' : 'UNAVAILABLE';
        expect(() => requireService(phase, service)).toThrow(expect.objectContaining({ code }));
      }
    }
    requireService('ready', 'decrypt');
  });
});
