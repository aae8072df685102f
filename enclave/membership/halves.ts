import type { Digest, PartyId } from '../../shared/ids.ts';
import type { MembershipMessage } from '../../shared/membership/messages.ts';
import { peersOf, type Roll } from '../../shared/protocol/machine.ts';
import { digestOf } from '../../shared/protocol/statement.ts';
import type { HalfShare } from '../../shared/sealing/half.ts';
import { type Scope, scopeName } from '../../shared/sealing/scope.ts';
import type { Line } from '../net/line.ts';

export interface HalvesPorts {
  readonly tell: (line: Line, message: MembershipMessage) => void;
  /** Connections to the latest processes of members. */
  readonly lines: () => readonly Line[];
  /** How long all other nodes are waited for before n-1-t of them are enough. */
  readonly dealMs: number;
}

interface Dealing {
  readonly scope: Scope;
  /** Secret. */
  readonly shares: ReadonlyMap<PartyId, Uint8Array>;
  readonly digests: ReadonlyMap<PartyId, Digest>;
  readonly holders: Set<PartyId>;
  /** dealMs has passed. */
  isLate: boolean;
  readonly done: PromiseWithResolvers<void>;
  timer: NodeJS.Timeout | undefined;
}

/**
 * Deals the peer halves of this node's scopes, and has them erased again (decision 0005). A half counts as dealt when
 * all other nodes hold it, or when a round has passed and n-1-t do: with a network that keeps the round length t+1 honest
 * nodes are among them. Whoever is missing gets it whenever it comes.
 */
export class Halves {
  readonly #membership: Roll;
  readonly #ports: HalvesPorts;
  readonly #dealings = new Map<string, Dealing>();
  readonly #erasing = new Map<
    string,
    { readonly scope: Scope; readonly erased: Set<PartyId>; done: () => void }
  >();

  constructor(membership: Roll, ports: HalvesPorts) {
    this.#membership = membership;
    this.#ports = ports;
  }

  /** Resolves when the half is dealt. @param shares of every other node; secret, owned by the caller */
  deal(scope: Scope, shares: readonly HalfShare[]): Promise<void> {
    const dealing = this.#begin(scope, shares, []);
    dealing.timer = setTimeout(() => {
      dealing.isLate = true;
      this.#settle(dealing);
    }, this.#ports.dealMs).unref();
    for (const line of this.#ports.lines()) this.#tell(line, dealing);
    return dealing.done.promise;
  }

  /** A half that was dealt in an earlier life; the others get theirs. @param holders who hold it for certain */
  resume(scope: Scope, shares: readonly HalfShare[], holders: readonly PartyId[]): void {
    const dealing = this.#begin(scope, shares, holders);
    for (const line of this.#ports.lines()) this.#tell(line, dealing);
  }

  /** Resolves when every other node has said that its share is gone. */
  erase(scope: Scope): Promise<void> {
    const name = scopeName(scope);
    this.#forget(name);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#erasing.set(name, { scope, erased: new Set(), done: resolve });
    for (const line of this.#ports.lines()) this.#ports.tell(line, { kind: 'half-erasing', scope });
    return promise;
  }

  isErasing(scope: Scope): boolean {
    return this.#erasing.has(scopeName(scope));
  }

  /** The latest process of a member is connected. */
  onLine(line: Line): void {
    for (const dealing of this.#dealings.values()) this.#tell(line, dealing);
    for (const { scope, erased } of this.#erasing.values()) {
      if (!erased.has(line.party)) this.#ports.tell(line, { kind: 'half-erasing', scope });
    }
  }

  held(from: PartyId, scope: Scope, digest: Digest): void {
    const dealing = this.#dealings.get(scopeName(scope));
    if (dealing === undefined || dealing.digests.get(from) !== digest) return;
    dealing.holders.add(from);
    this.#settle(dealing);
  }

  erased(from: PartyId, scope: Scope): void {
    const erasing = this.#erasing.get(scopeName(scope));
    if (erasing === undefined) return;
    erasing.erased.add(from);
    if (!peersOf(this.#membership).every((party) => erasing.erased.has(party))) return;
    this.#erasing.delete(scopeName(scope));
    erasing.done();
  }

  stop(): void {
    for (const { timer } of this.#dealings.values()) clearTimeout(timer);
  }

  #begin(scope: Scope, shares: readonly HalfShare[], holders: readonly PartyId[]): Dealing {
    const { primitives } = this.#membership;
    this.#forget(scopeName(scope));
    this.#erasing.delete(scopeName(scope));
    const dealing: Dealing = {
      scope,
      shares: new Map(shares.map(({ party, value }) => [party, value])),
      digests: new Map(shares.map(({ party, value }) => [party, digestOf(primitives, value)])),
      holders: new Set(holders),
      isLate: false,
      done: Promise.withResolvers<void>(),
      timer: undefined,
    };
    this.#dealings.set(scopeName(scope), dealing);
    return dealing;
  }

  #forget(name: string): void {
    clearTimeout(this.#dealings.get(name)?.timer);
    this.#dealings.delete(name);
  }

  #tell(line: Line, { scope, shares, holders }: Dealing): void {
    const share = shares.get(line.party);
    if (share === undefined || holders.has(line.party)) return;
    this.#ports.tell(line, { kind: 'half-dealt', scope, share });
  }

  #settle(dealing: Dealing): void {
    const { n, t } = this.#membership.committee;
    if (dealing.holders.size < (dealing.isLate ? n - 1 - t : n - 1)) return;
    clearTimeout(dealing.timer);
    dealing.done.resolve();
  }
}
