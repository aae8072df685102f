import type { Committee } from '../../committee.ts';
import type { Digest, KeyId, PartyId } from '../../ids.ts';
import type { Hashes, Rng } from '../../primitives.ts';
import { concat, fromHex } from '../../wire/bytes.ts';
import { KeySeeds, keySeed, SEED_BYTES, setsHeldBy } from '../prss/seeds.ts';
import { tupleHash } from '../statement.ts';
import type { Contribution } from './messages.ts';
import { type Commitments, commitment, setsOwed } from './transcript.ts';

/**
 * The contributions c_{dealer,A} that one party holds during a setup: its own and those opened to it. Secret; erased
 * when the setup ends.
 */
export class ContributionStore {
  readonly #committee: Committee;
  readonly #self: PartyId;
  readonly #values = new Map<PartyId, Map<number, Uint8Array>>();

  constructor(of: Committee, self: PartyId) {
    this.#committee = of;
    this.#self = self;
  }

  /** Draws this party's own values, 32 bytes for every A not containing it. */
  draw(rng: Rng): void {
    const own = setsHeldBy(this.#committee, this.#self).map((set) => [set, rng(SEED_BYTES)] as const);
    this.#values.set(this.#self, new Map(own));
  }

  /** What this party broadcasts: one commitment per own set, in order. */
  commit(hashes: Hashes, session: Digest): Uint8Array {
    const own = this.#values.get(this.#self) ?? new Map<number, Uint8Array>();
    return concat(...[...own].map(([set, value]) => commitment(hashes, session, this.#self, set, value)));
  }

  /** Takes values that open the dealer's commitments for sets this party holds; ignores all others. */
  take(commitments: Commitments, dealer: PartyId, values: readonly Contribution[]): void {
    const owed = setsOwed(this.#committee, dealer, this.#self);
    const known = this.#values.get(dealer) ?? new Map<number, Uint8Array>();
    for (const { set, value } of values) {
      if (owed.has(set) && !known.has(set) && commitments.isOpening(dealer, set, value))
        known.set(set, value);
    }
    this.#values.set(dealer, known);
  }

  /** Values of `dealer` for those of the wanted sets that both this party and `holder` hold, and for no others. */
  answer(dealer: PartyId, holder: PartyId, wanted: Iterable<number>): readonly Contribution[] {
    const allowed = setsOwed(this.#committee, dealer, holder);
    const known = this.#values.get(dealer);
    return [...new Set(wanted)].flatMap((set) => {
      const value = known?.get(set);
      return allowed.has(set) && value !== undefined ? [{ set, value }] : [];
    });
  }

  /** Everything `dealer` = this party owes to `holder`. */
  owed(holder: PartyId): readonly Contribution[] {
    return this.answer(this.#self, holder, setsOwed(this.#committee, this.#self, holder));
  }

  /** Sets for which this party still lacks the dealer's value. */
  missing(dealer: PartyId): readonly number[] {
    const known = this.#values.get(dealer);
    return [...setsOwed(this.#committee, dealer, this.#self)].filter((set) => known?.has(set) !== true);
  }

  /** Does this party have everything the dealer owes it? */
  isComplete(dealer: PartyId): boolean {
    // Only owed values that open their commitments are ever taken.
    const held = this.#values.get(dealer)?.size ?? 0;
    return held >= setsOwed(this.#committee, dealer, this.#self).size;
  }

  /** Everything held, for the archive; a view of live values. */
  entries(): readonly { readonly dealer: PartyId; readonly values: readonly Contribution[] }[] {
    return [...this.#values].map(([dealer, values]) => ({
      dealer,
      values: [...values].map(([set, value]) => ({ set, value })),
    }));
  }

  /** Drops values that do not open these commitments: an adopted transcript may name other ones. */
  keepOnly(commitments: Commitments): void {
    for (const [dealer, values] of this.#values) {
      for (const [set, value] of values) if (!commitments.isOpening(dealer, set, value)) values.delete(set);
    }
  }

  /**
   * k_{A,key} for every held A. k_A = HKDF(c_{i,A} of the dealers still in, in order; info = session, A, transcript)
   * exists only inside this call.
   */
  deriveSeeds(
    hashes: Hashes,
    session: Digest,
    transcript: Digest,
    dealers: readonly PartyId[],
    key: KeyId,
  ): KeySeeds {
    const held = setsHeldBy(this.#committee, this.#self);
    const seeds = new Uint8Array(held.length * SEED_BYTES);
    for (const [i, set] of held.entries()) {
      const inputs = dealers.flatMap((dealer) => this.#values.get(dealer)?.get(set) ?? []);
      const ikm = concat(...inputs);
      const info = tupleHash(hashes, 'setup/seed', fromHex(session), set, fromHex(transcript));
      const seed = hashes.hkdf(ikm, new Uint8Array(0), info, SEED_BYTES);
      const ofKey = keySeed(hashes, seed, key);
      seeds.set(ofKey, i * SEED_BYTES);
      for (const secret of [ikm, seed, ofKey]) secret.fill(0);
    }
    return new KeySeeds(this.#committee, this.#self, seeds);
  }

  [Symbol.dispose](): void {
    for (const values of this.#values.values()) for (const value of values.values()) value.fill(0);
    this.#values.clear();
  }
}
