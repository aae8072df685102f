import { describe, expect, it } from 'vitest';
import { sealRuntime } from '../../../client/seal/context.ts';
import { Ceremonies } from '../../../enclave/ceremonies.ts';
import { systemRng } from '../../../enclave/primitives.ts';
import { staticClaims } from '../../../infra/presets/claims.ts';
import { absoluteSumBound, centredBinomialSum, ternarySum, variance } from '../../../infra/presets/tails.ts';
import { committee } from '../../../shared/committee.ts';
import {
  keyPrimes,
  type Preset,
  presetByName,
  presetFor,
  presets,
  primesAt,
} from '../../../shared/fhe/presets.ts';
import { type Digest, digest } from '../../../shared/ids.ts';
import { Kernel } from '../../../shared/math/kernel/kernel.ts';
import { MemoryStore } from '../../simulator/memory-store.ts';
import { memberships } from '../../simulator/simulation.ts';
import { codeThrown } from './fixture.ts';

describe('presets', () => {
  it('presets: are found by name and unknown names are refused', () => {
    expect(presets.map(({ name }) => presetByName(name).degree)).toEqual([4096, 8192, 16384]);
    expect(codeThrown(() => presetByName('bfv-1024'))).toBe('UNKNOWN_PRESET');
    expect(codeThrown(() => presetByName('toString'))).toBe('UNKNOWN_PRESET');
  });

  it('presets: a production network makes no key for tests; lab and mock networks do', () => {
    const networkOf = (tag: string): Digest => digest(tag.padEnd(64, '7'));
    const [production, lab, mock] = ['6b6d7300', '6c616200', '6d6f636b'].map(networkOf);
    expect(codeThrown(() => presetFor(production!, 'test-4096'))).toBe('UNKNOWN_PRESET');
    for (const id of [lab!, mock!]) expect(presetFor(id, 'test-4096').testOnly).toBe(true);
    for (const name of ['bfv-8192', 'bfv-16384']) expect(presetFor(production!, name).name).toBe(name);
    expect(codeThrown(() => presetFor(mock!, 'bfv-1024'))).toBe('UNKNOWN_PRESET');
  });

  it('presets: nor does a node of one begin to', async () => {
    const [membership] = memberships(committee(4, 1), 'presets').values();
    const of = { ...membership!, networkId: digest('6b6d7300'.padEnd(64, '7')) };
    const settings = { kernel: await Kernel.load(), rng: systemRng, roundMs: 100, openingMs: 100 };
    const sent: unknown[] = [];
    const ceremonies = new Ceremonies(of, settings, {
      ...{ store: new MemoryStore(), send: (...message) => sent.push(message), nowMs: Date.now },
      ...{ onKey: () => {}, onFailure: () => {}, onWrongShares: () => {} },
    });
    await ceremonies.load();
    const request = { request: digest('11'.repeat(32)), preset: 'test-4096', galois: 'none' } as const;
    const asked = ceremonies.generate(request, AbortSignal.timeout(5_000))[Symbol.asyncIterator]().next();
    await expect(asked).rejects.toMatchObject({ code: 'UNKNOWN_PRESET' });
    ceremonies.stop();
    expect(sent).toEqual([]);
  });

  it('presets: cannot be changed', () => {
    for (const preset of presets) {
      expect(Object.isFrozen(preset)).toBe(true);
      expect(Object.isFrozen(preset.noise)).toBe(true);
      expect(Object.isFrozen(preset.dataPrimes)).toBe(true);
    }
  });

  it('presets: levels outside the chain are WRONG_LEVEL', () => {
    const preset = presetByName('bfv-8192');
    expect(primesAt(preset, 2)).toEqual(preset.dataPrimes.slice(0, 2));
    for (const level of [0, 4, -1, 1.5, Number.NaN]) {
      expect(codeThrown(() => primesAt(preset, level))).toBe('WRONG_LEVEL');
    }
  });

  it.each(presets.map(({ name }) => name))('presets: every static claim about %s holds', async (name) => {
    const claims = await staticClaims(presetByName(name));
    expect(claims.filter(({ ok }) => !ok)).toEqual([]);
    expect(claims.length).toBeGreaterThan(8);
  });

  const base = presetByName('bfv-8192');
  const spoiled: [string, Partial<Preset>][] = [
    ['a larger vMax', { vMax: base.vMax * 2n }],
    ['a wider flood', { floodBits: base.floodBits + 1 }],
    ['more lambda', { lambda: base.lambda + 1 }],
    ['another depth', { depth: 2 }],
    ['a larger plaintext modulus', { plainModulus: 8589475841n }],
    ['swapped primes', { dataPrimes: [...base.dataPrimes].reverse() }],
    ['a noise constant too small', { noise: { ...base.noise, productGain: base.noise.productGain - 1n } }],
    ['an invented security level', { testOnly: true }],
  ];
  it.each(spoiled)('presets: the proof fails for %s', async (_, change) => {
    const claims = await staticClaims({ ...base, ...change });
    expect(claims.some(({ ok }) => !ok)).toBe(true);
  });

  it.each(presets.map(({ name }) => name))("presets: the parms_ids of %s are SEAL's", async (name) => {
    const preset = presetByName(name);
    const { context } = await sealRuntime(preset);
    const found: string[] = [];
    let data = context.keyContextData();
    for (let primes = keyPrimes(preset).length; primes > 0; primes--) {
      const words = BigUint64Array.from(data.parmsId().values());
      found.push(Buffer.from(words.buffer).toString('hex'));
      if (primes > 1) data = data.nextContextData();
    }
    expect(found).toEqual([preset.keyParmsId, ...[...preset.parmsIds].reverse()]);
  });
});

describe('tails', () => {
  it('tails: exact distributions of PRSS sums have the known variances', () => {
    const [ternary, binomial] = [ternarySum(4), centredBinomialSum(21, 4)];
    expect(ternary.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
    expect(binomial.reduce((a, b) => a + b)).toBeCloseTo(1, 9);
    expect(variance(ternary)).toBeCloseTo((4 * 2) / 3, 9);
    expect(variance(binomial)).toBeCloseTo(4 * 10.5, 6);
    // Counted by hand: of 9 pairs of ternaries, 1, 2, 3, 2, 1 sum to -2..2.
    expect([...ternarySum(2)].map((x) => Math.round(x * 9))).toEqual([1, 2, 3, 2, 1]);
  });

  it('tails: the bound is above the mean and grows with the security asked for', () => {
    const pmf = ternarySum(715);
    const mean = 8192 * Math.sqrt((2 * 715 * 2) / 3 / Math.PI);
    const [loose, tight] = [absoluteSumBound(pmf, 8192, 20), absoluteSumBound(pmf, 8192, 100)];
    expect(Number(loose)).toBeGreaterThan(mean);
    expect(tight).toBeGreaterThan(loose);
    expect(Number(tight)).toBeLessThan(1.12 * mean);
  });
});
