import { describe, expect, test } from 'vitest';
import { keyPrimes } from '../../../shared/fhe/presets.ts';
import { digest, type PartyId } from '../../../shared/ids.ts';
import { Ring } from '../../../shared/math/ring.ts';
import type { SmallMask } from '../../../shared/protocol/prss/shares.ts';
import { atZero, binomials, centred, hashOf, ternaries } from '../../oracle/prss.ts';
import { DealtSeeds, kernel, owner, preset, transcript } from './dealt-seeds.ts';

const wide = new Ring(kernel, preset.degree, keyPrimes(preset));
const common = { transcript, preset: preset.name };
const h0 = digest('d4'.repeat(32));
const h1 = digest('e5'.repeat(32));
const rotation = { element: 3, source: owner.key, target: owner.key };

/** Each mask with the operands behind the common ones, as they are hashed. */
const masks: readonly [SmallMask, readonly ({ integer: number } | { hex: string })[]][] = [
  [{ role: 's', ...common }, []],
  [{ role: 'u', ...common, digit: 1 }, [{ integer: 1 }]],
  [{ role: 'e', ...common }, []],
  [{ role: 'e0', ...common, digit: 2 }, [{ integer: 2 }]],
  [{ role: 'e1', ...common, digit: 0 }, [{ integer: 0 }]],
  [{ role: 'e2', ...common, digit: 2, h0, h1 }, [{ integer: 2 }, { hex: h0 }, { hex: h1 }]],
  [
    { role: 'galois-e', ...common, digit: 1, ...rotation },
    [{ integer: 1 }, { integer: 3 }, { hex: owner.key }, { hex: owner.key }],
  ],
];

describe.each([
  ['(4,1)', new DealtSeeds(4, 1)],
  ['(7,2)', new DealtSeeds(7, 2)],
])('small values at %s', (_, dealt) => {
  const { parties, t } = dealt.of;

  test.each(masks)(
    'prss: $role is the sum of one draw per seed, by an independent oracle',
    (mask, operands) => {
      const isTernary = mask.role === 's' || mask.role === 'u';
      const label = hashOf([
        { text: 'kms/v1/prss/label' },
        { hex: owner.key },
        { integer: owner.epoch },
        { text: mask.role },
        { text: isTernary ? 'ternary' : 'cbd21' },
        { hex: transcript },
        { text: preset.name },
        ...operands,
      ]);
      const draw = isTernary ? ternaries : binomials;
      const perSet = dealt.sets.map((set) => draw(dealt.seed(set), label, preset.degree));
      const exact = Array.from({ length: preset.degree }, (_, c) =>
        perSet.reduce((sum, one) => sum + one[c]!, 0n),
      );
      const shares = new Map(parties.map((id) => [id, dealt.prss(id).small(wide, mask)]));
      for (const subset of [parties, parties.slice(0, t + 1), parties.slice(-t - 1)]) {
        expect(interpolated(wide, shares, subset)).toEqual(exact);
      }
      const bound = BigInt((isTernary ? 1 : 21) * dealt.sets.length);
      expect(exact.every((x) => x <= bound && x >= -bound)).toBe(true);
    },
  );

  test('prss: the NTT form is the transform of the coefficient form', () => {
    const prss = dealt.prss(parties[0]!);
    const share = prss.small(wide, { role: 'e', ...common });
    wide.ntt(share);
    expect(prss.smallNtt(wide, { role: 'e', ...common })).toEqual(share);
  });
});

/** The shared integers, the same for every prime: centred over the product of all. */
function interpolated(
  { primes, degree }: Ring,
  shares: ReadonlyMap<PartyId, BigUint64Array>,
  subset: readonly PartyId[],
): bigint[] {
  return Array.from({ length: degree }, (_, c) =>
    centred(
      primes.map((q, j) =>
        atZero(
          subset.map((id) => [id, shares.get(id)![j * degree + c]!]),
          q,
        ),
      ),
      primes,
    ),
  );
}
