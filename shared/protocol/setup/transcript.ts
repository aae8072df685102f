import { type Committee, corruptSets } from '../../committee.ts';
import type { Digest, PartyId } from '../../ids.ts';
import type { Hashes } from '../../primitives.ts';
import { equalBytes } from '../../wire/bytes.ts';
import { decode, encode } from '../../wire/codec.ts';
import { setsHeldBy } from '../prss/seeds.ts';
import { tupleDigest, tupleHash } from '../statement.ts';
import { namingCodec, type Transcript, transcriptCodec } from './messages.ts';

const DIGEST_BYTES = 32;

export function transcriptDigest(hashes: Hashes, transcript: Transcript): Digest {
  return tupleDigest(hashes, 'setup/transcript', encode(transcriptCodec, transcript));
}

/** H(session, dealer, A, c): what a dealer broadcasts before anybody sees c. */
export function commitment(
  hashes: Hashes,
  session: Digest,
  dealer: PartyId,
  set: number,
  value: Uint8Array,
): Uint8Array {
  return tupleHash(hashes, 'setup/commitment', session, dealer, set, value);
}

/** The commitments of one setup as its transcript fixes them, and who is still a dealer. */
export class Commitments {
  readonly #hashes: Hashes;
  readonly #session: Digest;
  readonly #byDealer = new Map<PartyId, ReadonlyMap<number, Uint8Array>>();

  /** Dealers whose broadcast failed or does not hold one commitment per set are left out. */
  constructor(
    hashes: Hashes,
    of: Committee,
    session: Digest,
    values: Iterable<readonly [PartyId, Uint8Array | undefined]>,
  ) {
    this.#hashes = hashes;
    this.#session = session;
    for (const [dealer, value] of values) {
      const sets = setsHeldBy(of, dealer);
      if (value === undefined || value.length !== sets.length * DIGEST_BYTES) continue;
      const bySet = sets.map(
        (set, i) => [set, value.subarray(i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES)] as const,
      );
      this.#byDealer.set(dealer, new Map(bySet));
    }
  }

  get dealers(): readonly PartyId[] {
    return [...this.#byDealer.keys()];
  }

  /** Does `value` open what the dealer committed to for this set? */
  isOpening(dealer: PartyId, set: number, value: Uint8Array): boolean {
    const expected = this.#byDealer.get(dealer)?.get(set);
    if (expected === undefined) return false;
    return equalBytes(expected, commitment(this.#hashes, this.#session, dealer, set, value));
  }
}

/**
 * Dealers still in: their commitments were broadcast and at most t parties named them. A failed or malformed naming
 * broadcast, and a party outside the session, count as naming every dealer; so a dealer still in leaves at least one
 * honest holder of every A that can supply its value.
 */
export function dealersIn(
  of: Committee,
  transcript: Transcript,
  commitments: Commitments,
): readonly PartyId[] {
  const outside = of.n - transcript.participants.length;
  const namings = transcript.namings.map(namedIn);
  return commitments.dealers.filter((dealer) => {
    const namers = namings.filter((named) => named === 'everyone' || named.includes(dealer)).length;
    return outside + namers <= of.t;
  });
}

function namedIn(value: Uint8Array | undefined): readonly PartyId[] | 'everyone' {
  if (value === undefined) return 'everyone';
  try {
    return decode(namingCodec, value);
  } catch {
    return 'everyone';
  }
}

const knownDebts = new WeakMap<Committee, Map<string, ReadonlySet<number>>>();

/** Sets A for which `dealer` owes `holder` a value: neither is in A. In ascending order. */
export function setsOwed(of: Committee, dealer: PartyId, holder: PartyId): ReadonlySet<number> {
  const byPair = knownDebts.get(of) ?? new Map<string, ReadonlySet<number>>();
  knownDebts.set(of, byPair);
  const pair = `${dealer}/${holder}`;
  const sets = corruptSets(of);
  const known =
    byPair.get(pair) ?? new Set(setsHeldBy(of, holder).filter((set) => !sets[set]?.includes(dealer)));
  byPair.set(pair, known);
  return known;
}
