import type { Digest, PartyId } from '../../shared/ids.ts';
import {
  type Incarnation,
  isAcknowledgement,
  isIncarnation,
  signIncarnation,
} from '../../shared/membership/incarnation.ts';
import type { Membership } from '../../shared/protocol/machine.ts';
import { decode, encode, u32 } from '../../shared/wire/codec.ts';
import type { SealedStore } from '../store/sealed-store.ts';

const RECORD = 'membership/own-incarnation';

/** What a refusal means: nothing, a new number to announce, or that a later boot of this identity lives. */
export type RefusalOutcome = 'ignored' | 'renumbered' | 'superseded';

/**
 * The number of this boot. It is above all that this store remembers, and above whatever a peer shows that this identity
 * signed before, since the store may have been put back to an older state.
 */
export class OwnIncarnation {
  readonly #membership: Membership;
  readonly #store: SealedStore;
  readonly #tlsKey: Digest;
  readonly #needed: number;
  readonly #acknowledged = new Set<PartyId>();
  /** Members that acknowledged this boot under whichever number. */
  readonly #met = new Set<PartyId>();
  #record: Incarnation;
  #superseded = false;

  private constructor(membership: Membership, store: SealedStore, tlsKey: Digest, record: Incarnation) {
    const { n, t } = membership.committee;
    this.#membership = membership;
    this.#store = store;
    this.#tlsKey = tlsKey;
    this.#needed = n - 1 - t;
    this.#record = record;
  }

  /** Takes the next number, durably. @param tlsKey of this boot. @throws {KmsError} STORE_FAILED */
  static async open(membership: Membership, store: SealedStore, tlsKey: Digest): Promise<OwnIncarnation> {
    const known = await store.get(RECORD);
    const number = (known === undefined ? 0 : decode(u32, known)) + 1;
    await store.put(RECORD, encode(u32, number));
    return new OwnIncarnation(membership, store, tlsKey, signIncarnation(membership, number, tlsKey));
  }

  get record(): Incarnation {
    return this.#record;
  }

  /** n - 1 - t other members made this record durable. */
  get isAcknowledged(): boolean {
    return !this.#superseded && this.#acknowledged.size >= this.#needed;
  }

  get isSuperseded(): boolean {
    return this.#superseded;
  }

  acknowledged(from: PartyId, signature: Uint8Array): void {
    if (!isAcknowledgement(this.#membership, from, this.#record, signature)) return;
    this.#acknowledged.add(from);
    this.#met.add(from);
  }

  /**
   * A peer has another record. Only one that this identity signed counts, so nobody can inflate the number. Before this boot has
   * been acknowledged it may be a trace of an earlier one, and this boot goes above it; afterwards a higher one is a later
   * boot that lives. From a peer that has met this boot a higher one is another that starts at the same time: of two such
   * the one with the greater TLS key goes on. Nobody gives way to a number that is not higher than its own, so of any clones
   * the one with the highest number goes on, whatever peers say.
   * @throws {KmsError} STORE_FAILED
   */
  async refused(from: PartyId, highest: Incarnation | undefined): Promise<RefusalOutcome> {
    if (highest === undefined || highest.party !== this.#membership.self) return 'ignored';
    if (highest.tlsKey === this.#tlsKey || highest.number < this.#record.number) return 'ignored';
    if (!isIncarnation(this.#membership, highest)) return 'ignored';
    const wasAcknowledged = this.isAcknowledged;
    const yields = wasAcknowledged || (this.#met.has(from) && highest.tlsKey > this.#tlsKey);
    if (highest.number > this.#record.number && yields) {
      this.#superseded = true;
      await this.#remember(highest.number);
      return 'superseded';
    }
    const number = highest.number + 1;
    await this.#remember(number);
    // Another refusal may have been dealt with meanwhile, or the last acknowledgement have come.
    const isOutdated = number <= this.#record.number || this.#superseded;
    if (isOutdated || (this.isAcknowledged && !wasAcknowledged)) return 'ignored';
    this.#record = signIncarnation(this.#membership, number, this.#tlsKey);
    this.#acknowledged.clear();
    return 'renumbered';
  }

  async #remember(number: number): Promise<void> {
    await this.#store.put(RECORD, encode(u32, Math.max(number, this.#record.number)));
  }
}
