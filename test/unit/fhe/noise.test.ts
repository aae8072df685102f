import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addBound,
  addPlainBound,
  boundAtDecryption,
  checkDecryptable,
  inputBound,
  modSwitchBound,
  mulBound,
  mulPlainBound,
  type NoiseBound,
  negateBound,
  noiseCeiling,
  rotateBound,
  subBound,
} from '../../../shared/fhe/noise.ts';
import { presetByName, presets } from '../../../shared/fhe/presets.ts';
import { codeThrown } from './fixture.ts';

const bfv8192 = presetByName('bfv-8192');
const input = inputBound(bfv8192);

describe('noise', () => {
  it.each(presets.map(({ name }) => name))(
    'noise: h+h repeated under %s is refused though its depth is 0',
    (name) => {
      const preset = presetByName(name);
      let sum = inputBound(preset);
      let doublings = 0;
      expect(
        codeThrown(() => {
          for (; doublings < 240; doublings++) sum = addBound(preset, sum, sum);
        }),
      ).toBe('TOO_NOISY');
      expect(doublings).toBeGreaterThan(20);
      checkDecryptable(preset, sum);
    },
  );

  it('noise: a claimed bound of 120 doublings is refused at decryption', () => {
    const claimed = { bound: input.bound << 120n, level: input.level };
    expect(codeThrown(() => checkDecryptable(bfv8192, claimed))).toBe('TOO_NOISY');
  });

  it('noise: bfv-8192 admits (a+b)*c, a*b+c*d and no second multiplication', () => {
    const product = mulBound(bfv8192, addBound(bfv8192, input, input), input);
    checkDecryptable(bfv8192, product);
    const one = mulBound(bfv8192, input, input);
    checkDecryptable(bfv8192, addBound(bfv8192, one, one));
    expect(codeThrown(() => mulBound(bfv8192, one, input))).toBe('TOO_NOISY');
  });

  it('noise: small operations cost what their rule says', () => {
    expect(addBound(bfv8192, input, input).bound).toBe(2n * input.bound + 1n);
    expect(subBound(bfv8192, input, input)).toEqual(addBound(bfv8192, input, input));
    expect(negateBound(bfv8192, input).bound).toBe(input.bound + 1n);
    expect(addPlainBound(bfv8192, input).bound).toBe(input.bound + 1n);
    expect(mulPlainBound(bfv8192, input, 10n).bound).toBe(10n * (input.bound + 1n) + 1n);
    expect(rotateBound(bfv8192, input).bound).toBe(input.bound + 1n + 3n * 623188n + 78511n);
    expect(modSwitchBound(bfv8192, input)).toEqual({ bound: 1n + 7132n, level: 2 });
  });

  it('noise: operands of different levels, levels outside the chain and bad factors are refused', () => {
    const lower = modSwitchBound(bfv8192, input);
    expect(codeThrown(() => addBound(bfv8192, input, lower))).toBe('WRONG_LEVEL');
    expect(codeThrown(() => mulBound(bfv8192, lower, input))).toBe('WRONG_LEVEL');
    expect(codeThrown(() => modSwitchBound(bfv8192, lower))).toBe('WRONG_LEVEL');
    for (const level of [0, 1, 4, 2.5, Number.NaN]) {
      expect(codeThrown(() => checkDecryptable(bfv8192, { bound: 0n, level }))).toBe('WRONG_LEVEL');
    }
    expect(codeThrown(() => checkDecryptable(bfv8192, { bound: -1n, level: 2 }))).toBe('TOO_NOISY');
    for (const l1 of [0n, -1n, 8192n * bfv8192.plainModulus]) {
      expect(codeThrown(() => mulPlainBound(bfv8192, input, l1))).toBe('BAD_INPUT');
    }
  });

  it('noise: the ceiling is exactly the largest bound that may be decrypted, at every level', () => {
    for (const preset of presets) {
      for (let level = preset.decryptionLevel; level <= preset.levels; level++) {
        const bound = noiseCeiling(preset, level);
        expect(boundAtDecryption(preset, { bound, level }).bound).toBe(preset.vMax);
        expect(codeThrown(() => checkDecryptable(preset, { bound: bound + 1n, level }))).toBe('TOO_NOISY');
      }
    }
  });

  it('noise: rules are monotone and their results always decryptable', () => {
    const preset = presetByName('bfv-16384');
    const bounds = fc
      .tuple(
        fc.integer({ min: 3, max: 7 }),
        fc.bigInt({ min: 0n, max: 1n << 250n }),
        fc.integer({ min: 0, max: 250 }),
      )
      .map(([level, raw, shift]): NoiseBound => ({ bound: raw >> BigInt(shift), level }));
    const rules = [
      (a: NoiseBound) => addBound(preset, a, a),
      (a: NoiseBound) => mulBound(preset, a, { ...a, bound: 1000n }),
      (a: NoiseBound) => rotateBound(preset, a),
      (a: NoiseBound) => mulPlainBound(preset, a, 77n),
    ];
    fc.assert(
      fc.property(bounds, fc.constantFrom(...rules), (a, rule) => {
        const [less, more] = [
          codeThrown(() => rule(a)),
          codeThrown(() => rule({ ...a, bound: a.bound + (a.bound >> 3n) })),
        ];
        if (more === 'nothing thrown') {
          expect(less).toBe('nothing thrown');
          const result = rule(a);
          expect(result.bound).toBeGreaterThan(a.bound);
          expect(result.bound).toBeLessThan(1n << 247n);
          checkDecryptable(preset, result);
        } else {
          expect(more).toBe('TOO_NOISY');
        }
      }),
      { numRuns: 300 },
    );
  });
});
