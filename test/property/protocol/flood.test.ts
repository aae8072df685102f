import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Preset } from '../../../shared/fhe/presets.ts';
import { digest, epochId, keyId, type PartyId } from '../../../shared/ids.ts';
import { FloodShares } from '../../../shared/protocol/decryption/flood.ts';
import { PartialDecryptor } from '../../../shared/protocol/decryption/partial.ts';
import type { MaskOwner } from '../../../shared/protocol/prss/labels.ts';
import { atZero, centred, floods, hashOf } from '../../oracle/prss.ts';
import { stream } from '../../oracle/stream.ts';
import { ciphertext, DealtSeeds, kernel, owner, preset, ring, transcript } from './dealt-seeds.ts';

const B = 1n << BigInt(preset.floodBits);
const four = new DealtSeeds(4, 1);
const seven = new DealtSeeds(7, 2);

/** E_i of every party. */
function shares(dealt: DealtSeeds, of = ciphertext, as = owner, under = preset) {
  return new Map(dealt.of.parties.map((id) => [id, dealt.floods(id, as, under).vector(of)]));
}

/** The flood that a subset of parties opens, coefficient by coefficient, as an integer. */
function opened(
  from: ReadonlyMap<PartyId, BigUint64Array>,
  subset: readonly PartyId[],
  { primes, count }: { readonly primes: readonly bigint[]; readonly count: number },
): bigint[] {
  return Array.from({ length: count }, (_, c) =>
    centred(
      primes.map((q, j) =>
        atZero(
          subset.map((id) => [id, from.get(id)![j * count + c]!]),
          q,
        ),
      ),
      primes,
    ),
  );
}

const shape = { primes: ring.primes, count: preset.degree };

/** sum_A r_A by the definition: no polynomial, no share. */
function expected(dealt: DealtSeeds, of = ciphertext, as = owner, count = preset.degree): bigint[] {
  const label = hashOf([
    { text: 'kms/v1/prss/label' },
    { hex: as.key },
    { integer: as.epoch },
    { text: 'flood' },
    { text: 'uniform' },
    { integer: dealt.of.n },
    { integer: dealt.of.t },
    { integer: 2 },
    { integer: 77 },
    { integer: 1 },
    { hex: of },
  ]);
  const perSet = dealt.sets.map((set) => floods(dealt.seed(set), label, count, preset.floodBits));
  return Array.from({ length: count }, (_, c) => perSet.reduce((sum, one) => sum + one[c]!, 0n));
}

describe.each([
  ['(4,1)', four],
  ['(7,2)', seven],
] as const)('flood at %s', (_, dealt) => {
  const { parties, t } = dealt.of;
  const all = shares(dealt);
  const exact = expected(dealt);

  test('flood: is the sum of one draw per seed, by an independent oracle', () => {
    expect(opened(all, parties, shape)).toEqual(exact);
  });

  test('flood: is the same whatever subset of parties answers', () => {
    const subset = fc.shuffledSubarray([...parties], { minLength: t + 1 });
    fc.assert(
      fc.property(subset, (answering) => {
        expect(opened(all, answering, shape)).toEqual(exact);
      }),
      { numRuns: 20 },
    );
  });

  test('flood: is bounded by the number of seeds times B, and reaches beyond one B', () => {
    const limit = BigInt(dealt.sets.length) * B;
    expect(exact.every((x) => x <= limit && x >= -limit)).toBe(true);
    expect(exact.some((x) => x > B || x < -B)).toBe(true);
    expect(exact.some((x) => x < 0n) && exact.some((x) => x > 0n)).toBe(true);
  });

  test('flood: fewer than t + 1 shares do not give it', () => {
    expect(opened(all, parties.slice(0, t), shape)).not.toEqual(exact);
  });
});

test('flood: a share at (13,4) interpolates to the sum over all 715 seeds', () => {
  const dealt = new DealtSeeds(13, 4);
  const parties = dealt.of.parties;
  const scalars = new Map(parties.map((id) => [id, dealt.floods(id).scalars([ciphertext])[0]!]));
  const first = { primes: ring.primes, count: 1 };
  const exact = expected(dealt, ciphertext, owner, 1);
  expect(opened(scalars, parties.slice(0, 5), first)).toEqual(exact);
  expect(opened(scalars, parties.slice(4), first)).toEqual(exact);
});

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const digests = bytes32.map((raw) => digest(Buffer.from(raw).toString('hex')));

describe('flood', () => {
  test('flood: of a scalar is that of the vector at coefficient 0, alone or in any batch', () => {
    const decryptor = decryptorOf(four, four.of.parties[1]!);
    const batch = fc.array(digests, { minLength: 1, maxLength: 9 });
    fc.assert(
      fc.property(batch, fc.nat(), (ciphertexts, seed) => {
        const c1 = ring.uniform(stream(`c1 ${seed}`, 24 * ring.length));
        const together = decryptor.scalars(ciphertexts.map((one) => ({ c1, ciphertext: one })));
        for (const [i, one] of ciphertexts.entries()) {
          const vector = decryptor.vector({ c1, ciphertext: one });
          const [alone] = decryptor.scalars([{ c1, ciphertext: one }]);
          const constant = ring.primes.map((_, j) => vector[j * ring.degree]);
          expect([...together[i]!]).toEqual(constant);
          expect([...alone!]).toEqual(constant);
        }
      }),
      { numRuns: 20 },
    );
  });

  test('flood: is the same however often and in whatever process life it is drawn, publicly or for a user', () => {
    const id = four.of.parties[2]!;
    const [first, second] = [decryptorOf(four, id), decryptorOf(four, id)];
    fc.assert(
      fc.property(digests, fc.nat(), (of, seed) => {
        const c1 = ring.uniform(stream(`c1 ${seed}`, 24 * ring.length));
        const share = first.vector({ c1, ciphertext: of });
        // Both the public and the user's path of a node call partial().
        const task = { key: owner.key, preset, kind: 'vector', ciphertext: of, c0: ring.zero(), c1 } as const;
        expect(first.partial(task)).toEqual(share);
        expect(second.partial(task)).toEqual(share);
        expect(first.partial({ ...task, kind: 'scalar' })[0]).toBe(share[0]);
      }),
      { numRuns: 20 },
    );
  });

  test('flood: a partial decryption is c1 * s_i plus exactly the flood share', () => {
    const id = four.of.parties[0]!;
    const decryptor = decryptorOf(four, id);
    const c1 = ring.uniform(stream('c1', 24 * ring.length));
    const share = four.prss(id).smallNtt(ring, { role: 's', transcript, preset: preset.name });
    const c1Ntt = c1.slice();
    ring.ntt(c1Ntt);
    const product = ring.mul(c1Ntt, share);
    ring.intt(product);
    expect(ring.sub(decryptor.vector({ c1, ciphertext }), product)).toEqual(
      four.floods(id).vector(ciphertext),
    );
  });

  const unrelated = (one: BigUint64Array, other: BigUint64Array): void => {
    const size = Math.min(one.length, other.length);
    expect(Array.from({ length: size }, (_, i) => one[i] === other[i]).some((same) => same)).toBe(false);
  };

  test('flood: changes everywhere with any bit of the ciphertext digest', () => {
    const flood = four.floods(four.of.parties[0]!);
    const base = flood.vector(ciphertext);
    fc.assert(
      fc.property(fc.nat(255), (bit) => {
        const raw = Buffer.from(ciphertext, 'hex');
        raw[bit >> 3]! ^= 1 << (bit & 7);
        unrelated(flood.vector(digest(raw.toString('hex'))), base);
      }),
      { numRuns: 40 },
    );
  });

  test.each<[string, MaskOwner, Preset]>([
    ['the key', { ...owner, key: keyId('a2'.repeat(32)) }, preset],
    ['the epoch', { ...owner, epoch: epochId(4) }, preset],
    ['the level', owner, { ...preset, decryptionLevel: 1 }],
    ['the flood bound', owner, { ...preset, floodBits: 76 }],
  ])('flood: changes everywhere with %s', (_, as, under) => {
    const id = four.of.parties[0]!;
    unrelated(four.floods(id, as, under).vector(ciphertext), four.floods(id).vector(ciphertext));
  });

  test.each(['n', 't'] as const)('flood: changes everywhere with %s of the committee', (name) => {
    const id = four.of.parties[0]!;
    const labelled = { ...four.of, [name]: four.of[name] + 1 };
    const other = new FloodShares(four.prss(id), labelled, preset, ring);
    unrelated(other.vector(ciphertext), four.floods(id).vector(ciphertext));
  });
});

function decryptorOf(dealt: DealtSeeds, id: PartyId): PartialDecryptor {
  return new PartialDecryptor(kernel, dealt.of, preset, dealt.prss(id), transcript);
}
