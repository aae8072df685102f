import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Admission, type AdmissionLimits } from '../../../parent/admission.ts';

const limits: AdmissionLimits = {
  maxConnections: 10,
  maxPerAddress: 3,
  acceptsPerSecond: 10,
  acceptBurst: 5,
};

describe('admission', () => {
  it('admission: one address has its own limit, all together have another', () => {
    const admission = new Admission({ ...limits, acceptBurst: 100 }, () => 0);
    for (let i = 0; i < 3; i++) expect(admission.enter('a')).toBeUndefined();
    expect(admission.enter('a')).toBe('address-limit');
    for (const address of ['b', 'c']) for (let i = 0; i < 3; i++) admission.enter(address);
    expect(admission.enter('d')).toBeUndefined();
    expect(admission.enter('e')).toBe('connection-limit');
    admission.leave('a');
    expect(admission.enter('a')).toBeUndefined();
    expect(admission.count).toBe(10);
  });

  it('admission: an address that is over its rate does not use up the others', () => {
    let nowMs = 0;
    const admission = new Admission(limits, () => nowMs);
    const tried = (address: string): boolean => {
      const reason = admission.enter(address);
      if (reason === undefined) admission.leave(address);
      return reason === undefined;
    };
    expect(Array.from({ length: 1000 }, () => tried('flood')).filter(Boolean).length).toBe(5);
    expect(tried('peer')).toBe(true);
    nowMs = 100;
    expect(tried('flood')).toBe(true);
    expect(admission.enter('flood')).toBe('accept-rate');
  });

  it('admission: counts are exact and limits hold, whatever comes and goes', () => {
    const step = fc.record({ address: fc.constantFrom('a', 'b', 'c', 'd'), enters: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const admission = new Admission(limits, () => 0);
        const open = new Map<string, number>();
        for (const { address, enters } of steps) {
          const here = open.get(address) ?? 0;
          if (!enters) {
            admission.leave(address);
            open.set(address, Math.max(0, here - 1));
          } else if (admission.enter(address) === undefined) open.set(address, here + 1);
          expect(admission.count).toBe([...open.values()].reduce((sum, one) => sum + one, 0));
          expect(Math.max(0, ...open.values())).toBeLessThanOrEqual(limits.maxPerAddress);
          expect(admission.count).toBeLessThanOrEqual(limits.maxConnections);
        }
      }),
    );
  });
});
