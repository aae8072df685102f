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

const phases: readonly Phase[] = ['unjoined', 'attesting', 'ready', 'degraded', 'superseded', 'stopped'];
const work: readonly Service[] = ['protocols', 'generate-key', 'read-keys', 'decrypt', 'user-decrypt'];
const services: readonly Service[] = ['join', 'membership', ...work];
const good: Facts = { joined: true, acknowledged: true, clockGood: true, superseded: false, stopped: false };
const facts = fc.record({
  joined: fc.boolean(),
  acknowledged: fc.boolean(),
  clockGood: fc.boolean(),
  superseded: fc.boolean(),
  stopped: fc.boolean(),
});

describe('phases', () => {
  it('phases: nothing is generated, decrypted or read before ready', () => {
    for (const phase of ['unjoined', 'attesting', 'superseded', 'stopped'] as const) {
      for (const service of work) expect(serves(phase, service)).toBe(false);
    }
    expect(services.filter((service) => serves('attesting', service))).toEqual(['join', 'membership']);
    expect(services.filter((service) => serves('unjoined', service))).toEqual(['join']);
    expect(services.filter((service) => serves('ready', service))).toEqual(services);
  });

  it('phases: degraded does everything but user decryption', () => {
    expect(services.filter((service) => !serves('degraded', service))).toEqual(['user-decrypt']);
  });

  it('phases: superseded and stopped do nothing, for good', () => {
    for (const service of services) {
      expect(serves('superseded', service)).toBe(false);
      expect(serves('stopped', service)).toBe(false);
    }
    fc.assert(
      fc.property(facts, (now) => {
        expect(phaseAfter('stopped', now)).toBe('stopped');
        expect(phaseAfter('superseded', now)).toBe(now.stopped ? 'stopped' : 'superseded');
      }),
    );
  });

  it('phases: ready needs a network, acknowledgements and a clock, whatever came before', () => {
    fc.assert(
      fc.property(fc.constantFrom(...phases), fc.array(facts, { maxLength: 6 }), (from, course) => {
        const end = course.reduce((phase, now) => phaseAfter(phase, now), from);
        const last = course.at(-1);
        if (last === undefined || end !== 'ready') return;
        expect([last.acknowledged, last.clockGood, last.superseded, last.stopped]).toEqual([
          true,
          true,
          false,
          false,
        ]);
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

  it.each<[Phase, Partial<Facts>, Phase]>([
    ['unjoined', { joined: false }, 'unjoined'],
    ['unjoined', {}, 'ready'],
    ['unjoined', { acknowledged: false }, 'attesting'],
    ['attesting', { clockGood: false }, 'attesting'],
    ['ready', { clockGood: false }, 'degraded'],
    ['ready', { acknowledged: false }, 'attesting'],
    ['degraded', {}, 'ready'],
    ['degraded', { acknowledged: false }, 'attesting'],
    ['ready', { superseded: true }, 'superseded'],
    ['ready', { superseded: true, stopped: true }, 'stopped'],
  ])('phases: from %s under %o to %s', (from, change, to) => {
    expect(phaseAfter(from, { ...good, ...change })).toBe(to);
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
