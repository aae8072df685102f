import { KmsError } from './errors.ts';
import { MAX_PARTIES, type PartyId, partyId } from './ids.ts';

/**
 * A committee of n parties of which at most t are corrupt, n >= 3t + 1 (protocols.md section 1).
 * Parties are their Shamir x-coordinates 1..n.
 */
export interface Committee {
  readonly n: number;
  readonly t: number;
  /** 1..n */
  readonly parties: readonly PartyId[];
  /** 2t + 1 agreeing shares determine a value. */
  readonly decodingQuorum: number;
  /** n - t signatures certify a statement; two certificates always share an honest signer. */
  readonly certificateQuorum: number;
}

/** One PRSS seed per set of t parties: (13,4) has 715, more is not supported. */
export const MAX_SEEDS = 715;

/** @throws {KmsError} BAD_INPUT unless 1 <= t, 3t + 1 <= n and C(n,t) <= 715 */
export function committee(n: number, t: number): Committee {
  if (!Number.isInteger(n) || !Number.isInteger(t) || t < 1 || n < 3 * t + 1 || n > MAX_PARTIES) {
    throw new KmsError(
      'BAD_INPUT',
      `a committee needs 1 <= t and 3t+1 <= n <= ${MAX_PARTIES}; got n=${n}, t=${t}`,
    );
  }
  if (binomial(n, t) > MAX_SEEDS) {
    throw new KmsError(
      'BAD_INPUT',
      `(n,t) = (${n},${t}) needs more than ${MAX_SEEDS} seeds; (13,4) is the largest`,
    );
  }
  const parties = Array.from({ length: n }, (_, index) => partyId(index + 1, n));
  return { n, t, parties, decodingQuorum: 2 * t + 1, certificateQuorum: n - t };
}

function binomial(n: number, k: number): number {
  let result = 1;
  for (let i = 1; i <= k; i++) result = (result * (n - k + i)) / i;
  return Math.round(result);
}

const knownSets = new WeakMap<Committee, readonly (readonly PartyId[])[]>();

/** All subsets of exactly t parties in lexicographic order: the index set of the PRSS seeds (section 2). */
export function corruptSets(of: Committee): readonly (readonly PartyId[])[] {
  const known = knownSets.get(of) ?? allSets(of);
  knownSets.set(of, known);
  return known;
}

function allSets(of: Committee): readonly (readonly PartyId[])[] {
  const sets: PartyId[][] = [];
  const extend = (from: number, chosen: PartyId[]): void => {
    if (chosen.length === of.t) {
      sets.push(chosen);
      return;
    }
    for (let i = from; i <= of.n; i++) extend(i + 1, [...chosen, partyId(i, of.n)]);
  };
  extend(1, []);
  return sets;
}
