import { KmsError } from '../../shared/errors.ts';
import type { Digest, PartyId } from '../../shared/ids.ts';
import {
  type Incarnation,
  incarnationCodec,
  isAcceptable,
  isIncarnation,
  signAcknowledgement,
} from '../../shared/membership/incarnation.ts';
import { type Membership, peersOf } from '../../shared/protocol/machine.ts';
import { decode, encode } from '../../shared/wire/codec.ts';
import type { SealedStore } from '../store/sealed-store.ts';

export type IncarnationVerdict =
  | { readonly kind: 'acknowledged'; readonly signature: Uint8Array }
  | { readonly kind: 'refused'; readonly highest: Incarnation | undefined };

const nameOf = (party: PartyId): string => `membership/incarnation-${party}`;

/** The highest record of every other member: durable before it is acknowledged, never replaced by a lower one. */
export class PeerIncarnations {
  readonly #membership: Membership;
  readonly #store: SealedStore;
  readonly #highest = new Map<PartyId, Incarnation>();
  /** One record of a member after the other. */
  readonly #last = new Map<PartyId, Promise<unknown>>();

  private constructor(membership: Membership, store: SealedStore) {
    this.#membership = membership;
    this.#store = store;
  }

  /** @throws {KmsError} STORE_FAILED */
  static async open(membership: Membership, store: SealedStore): Promise<PeerIncarnations> {
    const all = new PeerIncarnations(membership, store);
    for (const party of peersOf(membership)) {
      const record = await store.get(nameOf(party));
      if (record !== undefined) all.#highest.set(party, decode(incarnationCodec, record));
    }
    return all;
  }

  highestOf(party: PartyId): Incarnation | undefined {
    return this.#highest.get(party);
  }

  /** True if this process is the member's latest. */
  isCurrent(party: PartyId, tlsKey: Digest): boolean {
    return this.#highest.get(party)?.tlsKey === tlsKey;
  }

  /**
   * @param from whose stream it came over, and the TLS key that this stream proved
   * @throws {KmsError} BAD_PEER for a record that is not about the process at the other end; STORE_FAILED
   */
  take(
    from: { readonly party: PartyId; readonly tlsKey: Digest },
    record: Incarnation,
  ): Promise<IncarnationVerdict> {
    const isAboutSender = record.party === from.party && record.tlsKey === from.tlsKey;
    if (!isAboutSender || !isIncarnation(this.#membership, record)) {
      throw new KmsError('BAD_PEER', 'the record is not one of the process that sent it');
    }
    const verdict = (this.#last.get(from.party) ?? Promise.resolve()).then(() => this.#takeNext(record));
    this.#last.set(
      from.party,
      verdict.catch(() => undefined),
    );
    return verdict;
  }

  async #takeNext(record: Incarnation): Promise<IncarnationVerdict> {
    const { party, number } = record;
    const highest = this.#highest.get(party);
    if (!isAcceptable(highest, record)) return { kind: 'refused', highest };
    if (number !== highest?.number) {
      await this.#store.put(nameOf(party), encode(incarnationCodec, record));
      this.#highest.set(party, record);
    }
    return { kind: 'acknowledged', signature: signAcknowledgement(this.#membership, record) };
  }
}
