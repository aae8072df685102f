import { beforeAll, describe, expect, it } from 'vitest';
import { savedBytes } from '../../../client/seal/context.ts';
import { readCiphertext, type SealCiphertext } from '../../../shared/fhe/seal/ciphertext.ts';
import { switchDown } from '../../../shared/fhe/switch-down.ts';
import { Ring } from '../../../shared/math/ring.ts';
import { codeThrown, type Fixture, fixture } from './fixture.ts';

let at: Fixture;
let ring: Ring;
let levels: SealCiphertext[];
beforeAll(async () => {
  at = await fixture('test-4096', 4);
  ring = new Ring(at.runtime.kernel, at.preset.degree, at.preset.dataPrimes);
  const { seal, context } = at.runtime;
  using ciphertext = new seal.Ciphertext();
  using evaluator = new seal.Evaluator(context);
  ciphertext.loadFromArray(
    context,
    at.encrypt(BigUint64Array.from({ length: 4096 }, (_, i) => BigInt(3 * i))),
  );
  levels = [readCiphertext(at.preset, savedBytes(at.runtime, ciphertext))];
  for (let level = 2; level >= 1; level--) {
    evaluator.cipherModSwitchToNextInplace(ciphertext);
    levels.unshift(readCiphertext(at.preset, savedBytes(at.runtime, ciphertext)));
  }
});

describe('switch down', () => {
  it('switch down: from the first level it is bit for bit what SEAL does', () => {
    const [, expected, fresh] = levels;
    expect(switchDown(ring, at.preset, fresh!.c0, 3)).toEqual(expected!.c0);
    expect(switchDown(ring, at.preset, fresh!.c1, 3)).toEqual(expected!.c1);
  });

  it('switch down: at the decryption level nothing changes, and the argument never does', () => {
    const { c0 } = levels[1]!;
    const before = c0.slice();
    const switched = switchDown(ring, at.preset, c0, 2);
    expect(switched).toEqual(before);
    expect(switched).not.toBe(c0);
    const fresh = levels[2]!.c0.slice();
    switchDown(ring, at.preset, levels[2]!.c0, 3);
    expect(levels[2]!.c0).toEqual(fresh);
  });

  it('switch down: levels below decryption or outside the chain are WRONG_LEVEL', () => {
    expect(codeThrown(() => switchDown(ring, at.preset, levels[0]!.c0, 1))).toBe('WRONG_LEVEL');
    expect(codeThrown(() => switchDown(ring, at.preset, levels[0]!.c0, 0))).toBe('WRONG_LEVEL');
    expect(codeThrown(() => switchDown(ring, at.preset, levels[2]!.c0, 4))).toBe('WRONG_LEVEL');
  });
});
