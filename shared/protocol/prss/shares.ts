import { type Committee, corruptSets } from '../../committee.ts';
import type { PartyId } from '../../ids.ts';
import { SmallSum } from '../../math/prss-sum.ts';
import type { Residues, Ring } from '../../math/ring.ts';
import { cbd21SizeBytes, sampleCbd21, sampleTernary, ternarySizeBytes } from '../../math/samplers.ts';
import { PrssWeights } from '../../math/shamir.ts';
import type { Primitives } from '../../primitives.ts';
import { erase } from './erasure.ts';
import { type Mask, type MaskOwner, maskLabel } from './labels.ts';
import { Prf } from './prf.ts';
import type { KeySeeds } from './seeds.ts';

/** Masks whose per-seed values are small integers; floods are made by FloodShares. */
export type SmallMask = Exclude<Mask, { role: 'flood' }>;

/** A seed's PRF and the numerator of f_A(i), for every set A that the party holds. */
export interface WeightedPrf {
  readonly prf: Prf;
  readonly numerator: bigint;
}

/**
 * One party's shares of PRSS values of one (key, epoch): party i's share of sum_A r_A is the sum over the sets A not
 * containing i of f_A(i) * r_A, r_A = PRF(k_A, label) (Cramer, Damgård, Ishai, TCC 2005; protocols.md section 2).
 * Holds the expanded seeds: secret.
 */
export class PrssShares {
  readonly owner: MaskOwner;
  readonly weighted: readonly WeightedPrf[];
  readonly denominator: bigint;
  readonly primitives: Primitives;

  constructor(primitives: Primitives, of: Committee, self: PartyId, owner: MaskOwner, seeds: KeySeeds) {
    const weights = new PrssWeights(of);
    const sets = corruptSets(of);
    this.primitives = primitives;
    this.owner = owner;
    this.denominator = weights.denominator;
    this.weighted = seeds.use((set, seed) => ({
      prf: new Prf(primitives, seed),
      numerator: weights.numerator(sets[set] ?? [], self),
    }));
  }

  /** Share of a ternary or centred binomial ring element: k*N residues in coefficient form. */
  small(ring: Ring, mask: SmallMask): Residues {
    const label = maskLabel(this.primitives, this.owner, mask);
    const isTernary = mask.role === 's' || mask.role === 'u';
    const sizeBytes = isTernary ? ternarySizeBytes(ring.degree) : cbd21SizeBytes(ring.degree);
    const counters = new Uint8Array(sizeBytes);
    using sum = new SmallSum(ring.kernel, ring.degree);
    for (const { prf, numerator } of this.weighted) {
      const stream = prf.keystream(label, counters);
      const values = isTernary
        ? sampleTernary(ring.kernel, stream, ring.degree).values
        : sampleCbd21(ring.kernel, stream, ring.degree);
      sum.add(values, numerator);
      erase(values);
      erase(stream);
    }
    return sum.finish(ring, this.denominator);
  }

  /** The same in NTT form. */
  smallNtt(ring: Ring, mask: SmallMask): Residues {
    const share = this.small(ring, mask);
    ring.ntt(share);
    return share;
  }
}
