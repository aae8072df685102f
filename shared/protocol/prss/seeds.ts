import { type Committee, corruptSets } from '../../committee.ts';
import { KmsError } from '../../errors.ts';
import type { KeyId, PartyId } from '../../ids.ts';
import type { Hashes } from '../../primitives.ts';
import { fromHex, utf8 } from '../../wire/bytes.ts';

/** Index of a set A in corruptSets(committee). */
export type SetIndex = number;

export const SEED_BYTES = 32;

const knownHoldings = new WeakMap<Committee, Map<PartyId, readonly SetIndex[]>>();

/** Sets A that `party` is not in: those whose seed it holds, and for which it deals a contribution. */
export function setsHeldBy(of: Committee, party: PartyId): readonly SetIndex[] {
  const byParty = knownHoldings.get(of) ?? new Map<PartyId, readonly SetIndex[]>();
  knownHoldings.set(of, byParty);
  const known =
    byParty.get(party) ?? corruptSets(of).flatMap((set, index) => (set.includes(party) ? [] : [index]));
  byParty.set(party, known);
  return known;
}

/**
 * The PRSS seeds of one (key, epoch) at one party: k_{A,key} for every A not containing it (protocols.md section 2,
 * "seeds belong to one (key, epoch)"). Secret. Printing it prints [secret]; dispose erases it.
 */
export class KeySeeds {
  readonly #bytes: Uint8Array;
  readonly sets: readonly SetIndex[];

  /** @param bytes 32 bytes per held set, in the order of setsHeldBy; owned by this object from now on */
  constructor(of: Committee, party: PartyId, bytes: Uint8Array) {
    this.sets = setsHeldBy(of, party);
    if (bytes.length !== this.sets.length * SEED_BYTES) {
      throw new KmsError('BAD_ENCODING', 'the seed record does not fit this committee');
    }
    this.#bytes = bytes;
  }

  /** Calls f with each seed; the view is valid during the call only. */
  use<T>(f: (set: SetIndex, seed: Uint8Array) => T): T[] {
    return this.sets.map((set, i) => f(set, this.#bytes.subarray(i * SEED_BYTES, (i + 1) * SEED_BYTES)));
  }

  /** The bytes to seal; a view, erased with this object. */
  useBytes<T>(f: (bytes: Uint8Array) => T): T {
    return f(this.#bytes);
  }

  [Symbol.dispose](): void {
    this.#bytes.fill(0);
  }

  toJSON(): string {
    return '[secret]';
  }

  toString(): string {
    return '[secret]';
  }

  get [Symbol.toStringTag](): string {
    return 'secret';
  }
}

/** k_{A,key} = HKDF(k_A, key id). */
export function keySeed(hashes: Hashes, seed: Uint8Array, key: KeyId): Uint8Array {
  return hashes.hkdf(
    seed,
    new Uint8Array(0),
    new Uint8Array([...utf8('kms/v1/key-seed'), ...fromHex(key)]),
    SEED_BYTES,
  );
}
