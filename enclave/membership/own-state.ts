import type { PartyId } from '../../shared/ids.ts';
import type { MembershipMessage } from '../../shared/membership/messages.ts';
import type { Membership } from '../../shared/protocol/machine.ts';
import {
  isNewer,
  isSameState,
  isStateRecord,
  type StateRecord,
  signStateRecord,
} from '../../shared/sealing/state-record.ts';
import type { Line } from '../net/line.ts';
import type { StateVersion } from '../store/versioned-store.ts';

export interface OwnStatePorts {
  readonly tell: (line: Line, message: MembershipMessage) => void;
  /** Connections to the latest processes of members. */
  readonly lines: () => readonly Line[];
  /** Number of this boot once n-1-t peers acknowledged it, else undefined. */
  readonly incarnation: () => number | undefined;
  /** The state has taken effect. */
  readonly onHeld: (state: StateVersion) => void;
}

/**
 * Announces this node's state, and knows when it has taken effect: n-1-t other nodes hold exactly this record. Nothing is announced before
 * the boot that announces it is acknowledged.
 */
export class OwnState {
  readonly #membership: Membership;
  readonly #ports: OwnStatePorts;
  #state: StateVersion;
  #record: StateRecord | undefined;
  #incarnation: number | undefined;
  #isOvertaken = false;
  #inEffect: StateVersion | undefined;
  #isKnown = false;
  readonly #holders = new Set<PartyId>();
  #waiting: (() => void)[] = [];

  constructor(membership: Membership, state: StateVersion, ports: OwnStatePorts) {
    this.#membership = membership;
    this.#state = state;
    this.#ports = ports;
  }

  /** n-1-t peers have held a state that this boot announced; newer ones may be on their way. */
  get isKnown(): boolean {
    return this.#isKnown;
  }

  /** The newest state that took effect by the word of this boot. */
  get inEffect(): StateVersion | undefined {
    return this.#inEffect;
  }

  /** A peer holds a later state of this node: what this process has is old. */
  get isOvertaken(): boolean {
    return this.#isOvertaken;
  }

  /** Resolves when the state has taken effect. */
  announce(state: StateVersion): Promise<void> {
    this.#state = state;
    this.#record = undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    this.refresh();
    return promise;
  }

  /** Something has changed that a record depends on: this boot was acknowledged, or has another number. */
  refresh(): void {
    const incarnation = this.#ports.incarnation();
    if (incarnation === undefined || this.#record?.incarnation === incarnation) return;
    this.#holders.clear();
    if (this.#incarnation !== incarnation) this.#isKnown = false;
    this.#incarnation = incarnation;
    this.#record = signStateRecord(this.#membership, { ...this.#state, incarnation });
    for (const line of this.#ports.lines()) this.onLine(line);
  }

  /** The latest process of a member is connected. */
  onLine(line: Line): void {
    if (this.#record === undefined || this.#holders.has(line.party)) return;
    this.#ports.tell(line, { kind: 'state-announced', record: this.#record });
  }

  held(from: PartyId, record: StateRecord): void {
    if (this.#record === undefined || !isSameState(record, this.#record)) return;
    const { n, t } = this.#membership.committee;
    const needed = n - 1 - t;
    if (this.#holders.size >= needed || this.#holders.add(from).size < needed) return;
    this.#isKnown = true;
    const { version, digest } = record;
    this.#inEffect = { version, digest };
    this.#ports.onHeld(this.#inEffect);
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Only what this node signed counts. */
  refused(highest: StateRecord): void {
    const { self } = this.#membership;
    if (highest.party !== self || !isStateRecord(this.#membership, highest)) return;
    // What this boot has not announced yet nobody can have refused; an older record of this node says nothing.
    const isLater =
      this.#record === undefined ? highest.version > this.#state.version : isNewer(highest, this.#record);
    if (isLater) this.#isOvertaken = true;
  }
}
