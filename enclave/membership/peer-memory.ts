import { KmsError } from '../../shared/errors.ts';
import type { Digest, PartyId } from '../../shared/ids.ts';
import { peersOf, type Roll } from '../../shared/protocol/machine.ts';
import { digestOf } from '../../shared/protocol/statement.ts';
import type { HalfShare } from '../../shared/sealing/half.ts';
import { type Scope, scopeName, scopeNamed } from '../../shared/sealing/scope.ts';
import {
  isNewer,
  isSameState,
  isStateRecord,
  type StateRecord,
  stateRecordCodec,
} from '../../shared/sealing/state-record.ts';
import { decode, encode } from '../../shared/wire/codec.ts';
import type { SealedStore } from '../store/sealed-store.ts';

export type StateVerdict =
  | { readonly kind: 'held' }
  | { readonly kind: 'refused'; readonly highest: StateRecord };

/** What a restarting node is told. */
export interface Recollection {
  /** The highest state of its own that this node holds. */
  readonly state: StateRecord | undefined;
  /** Secret, one for each of its scopes. */
  readonly shares: readonly { readonly scope: Scope; readonly share: Uint8Array }[];
}

/** So many scopes a member may have here: keys of one epoch, and those that are being erased. */
const MAX_SCOPES = 4096;

const stateName = (party: PartyId): string => `memory/${party}/state`;
const halvesPrefix = (party: PartyId): string => `memory/${party}/halves/`;

/**
 * What this node keeps for the others, in tier 1: of each its newest state record, which never goes back, and its release
 * shares. Durable before it is acknowledged.
 */
export class PeerMemory {
  readonly #membership: Roll;
  readonly #store: SealedStore;
  readonly #states = new Map<PartyId, StateRecord>();
  readonly #scopes = new Map<PartyId, Set<string>>();
  /** One change of a member after the other. */
  readonly #last = new Map<PartyId, Promise<unknown>>();

  private constructor(membership: Roll, store: SealedStore) {
    this.#membership = membership;
    this.#store = store;
  }

  /** @param store tier 1. @throws {KmsError} STORE_FAILED */
  static async open(membership: Roll, store: SealedStore): Promise<PeerMemory> {
    const memory = new PeerMemory(membership, store);
    for (const party of peersOf(membership)) {
      const record = await store.get(stateName(party));
      if (record !== undefined) memory.#states.set(party, decode(stateRecordCodec, record));
      const prefix = halvesPrefix(party);
      memory.#scopes.set(party, new Set((await store.list(prefix)).map((name) => name.slice(prefix.length))));
    }
    return memory;
  }

  /**
   * @param from who says so over its own stream
   * @param incarnation the number of the process at the other end
   * @throws {KmsError} BAD_PEER for a record that is not its own; STORE_FAILED
   */
  announced(from: PartyId, incarnation: number, record: StateRecord): Promise<StateVerdict> {
    const isOwn = record.party === from && record.incarnation === incarnation;
    if (!isOwn || !isStateRecord(this.#membership, record)) {
      throw new KmsError('BAD_PEER', 'the state is not one of the process that announces it');
    }
    return this.#next(from, async () => {
      const known = this.#states.get(from);
      if (known !== undefined && isSameState(known, record)) return { kind: 'held' };
      if (!isNewer(record, known)) return { kind: 'refused', highest: known ?? record };
      await this.#store.put(stateName(from), encode(stateRecordCodec, record));
      this.#states.set(from, record);
      return { kind: 'held' };
    });
  }

  /** Keeps a release share; a later one for the same scope replaces it. @throws {KmsError} BUSY, STORE_FAILED */
  dealt(from: PartyId, scope: Scope, share: Uint8Array): Promise<Digest> {
    return this.#next(from, async () => {
      const name = scopeName(scope);
      const scopes = this.#scopes.get(from) ?? new Set();
      if (!scopes.has(name) && scopes.size >= MAX_SCOPES)
        throw new KmsError('BUSY', 'the member has too many scopes here');
      const known = scopes.has(name) ? await this.#store.get(halvesPrefix(from) + name) : undefined;
      const isKnown =
        known !== undefined &&
        digestOf(this.#membership.primitives, known) === digestOf(this.#membership.primitives, share);
      if (!isKnown) await this.#store.put(halvesPrefix(from) + name, share);
      known?.fill(0);
      scopes.add(name);
      return digestOf(this.#membership.primitives, share);
    });
  }

  /** @throws {KmsError} STORE_FAILED */
  erase(from: PartyId, scope: Scope): Promise<void> {
    return this.#next(from, async () => {
      const name = scopeName(scope);
      if (this.#scopes.get(from)?.has(name) ?? false) await this.#store.delete(halvesPrefix(from) + name);
      this.#scopes.get(from)?.delete(name);
    });
  }

  /** For an attested process of that member alone. @throws {KmsError} STORE_FAILED */
  recall(party: PartyId): Promise<Recollection> {
    return this.#next(party, async () => {
      const shares: { scope: Scope; share: Uint8Array }[] = [];
      for (const name of this.#scopes.get(party) ?? []) {
        const share = await this.#store.get(halvesPrefix(party) + name);
        if (share !== undefined) shares.push({ scope: scopeNamed(name), share });
      }
      return { state: this.#states.get(party), shares };
    });
  }

  #next<T>(party: PartyId, change: () => Promise<T>): Promise<T> {
    const result = (this.#last.get(party) ?? Promise.resolve()).then(change);
    this.#last.set(
      party,
      result.catch(() => undefined),
    );
    return result;
  }
}

/** As the owner of the half sees what one holder answered. */
export function sharesOf(holder: PartyId, recollection: Recollection, scope: Scope): readonly HalfShare[] {
  return recollection.shares
    .filter((one) => scopeName(one.scope) === scopeName(scope))
    .map(({ share }) => ({ party: holder, value: share }));
}
