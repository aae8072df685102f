import type { PartyId } from '../../shared/ids.ts';
import type { Roll } from '../../shared/protocol/machine.ts';
import type { HalfShare } from '../../shared/sealing/half.ts';
import { scopeName } from '../../shared/sealing/scope.ts';
import { isNewer, isStateRecord, type StateRecord } from '../../shared/sealing/state-record.ts';
import type { Recollection } from '../membership/peer-memory.ts';
import { NO_STATE, type StateVersion } from '../store/versioned-store.ts';
import type { ScopeHeader } from './scope-header.ts';
import { goodShares } from './scopes.ts';

/**
 * What the other nodes have told a restarting one. Of their memories the highest counts once n-1-t have answered; of their
 * shares those that are what this node dealt. A record that this node did not sign, or a share that it did not deal, is
 * worth nothing and names who sent it.
 */
export class Recollections {
  readonly #membership: Roll;
  readonly #answers = new Map<PartyId, Recollection>();
  readonly #mistaken = new Set<PartyId>();

  constructor(membership: Roll) {
    this.#membership = membership;
  }

  /** Owns the shares, and erases those of an earlier answer: sharesFor() is to be asked again. */
  take(from: PartyId, answer: Recollection): void {
    const { state } = answer;
    const isOwn = state === undefined || this.#isOwn(state);
    if (!isOwn) this.#mistaken.add(from);
    erase(this.#answers.get(from));
    this.#answers.set(from, isOwn ? answer : { ...answer, state: undefined });
  }

  /** Who answered with something else than this node gave them last: out of date, or lying. */
  get mistaken(): readonly PartyId[] {
    return [...this.#mistaken];
  }

  /** Undefined before n-1-t have answered. */
  get highest(): StateVersion | undefined {
    const { n, t } = this.#membership.committee;
    if (this.#answers.size < n - 1 - t) return undefined;
    const records = [...this.#answers.values()].flatMap(({ state }) => state ?? []);
    const highest = records.reduce<StateRecord | undefined>(
      (so, one) => (isNewer(one, so) ? one : so),
      undefined,
    );
    return highest ?? NO_STATE;
  }

  /** Every good share of that scope, until its holder answers again. Secret. */
  sharesFor(header: ScopeHeader): readonly HalfShare[] {
    const { primitives } = this.#membership;
    const name = scopeName(header.scope);
    const offered = [...this.#answers].flatMap(([party, { shares }]) =>
      shares.filter(({ scope }) => scopeName(scope) === name).map(({ share }) => ({ party, value: share })),
    );
    const good = goodShares(primitives, header, offered);
    for (const { party } of offered) if (!good.some((one) => one.party === party)) this.#mistaken.add(party);
    return good;
  }

  /** Digests say who holds what without showing it. */
  holdersOf(header: ScopeHeader): readonly PartyId[] {
    return this.sharesFor(header).map(({ party }) => party);
  }

  [Symbol.dispose](): void {
    for (const answer of this.#answers.values()) erase(answer);
  }

  #isOwn(state: StateRecord): boolean {
    return state.party === this.#membership.self && isStateRecord(this.#membership, state);
  }
}

function erase(answer: Recollection | undefined): void {
  for (const { share } of answer?.shares ?? []) share.fill(0);
}
