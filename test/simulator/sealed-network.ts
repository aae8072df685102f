import type { Recollection } from '../../enclave/membership/peer-memory.ts';
import type { Line } from '../../enclave/net/line.ts';
import { nodePrimitives, systemRng } from '../../enclave/primitives.ts';
import { NodeSeal, type NodeSealParts } from '../../enclave/sealing/node-seal.ts';
import type { StateStore } from '../../enclave/sealing/state-store.ts';
import { createTierOne, openTierOne } from '../../enclave/sealing/tier-one.ts';
import { unseal } from '../../enclave/sealing/unsealing.ts';
import type { Changes } from '../../enclave/store/sealed-store.ts';
import { NO_STATE, type StateVersion } from '../../enclave/store/versioned-store.ts';
import { committee } from '../../shared/committee.ts';
import { type PartyId, partyId } from '../../shared/ids.ts';
import { silent } from '../../shared/log.ts';
import {
  type MembershipMessage,
  membershipMessage,
  type SealMessage,
} from '../../shared/membership/messages.ts';
import { type Membership, peersOf } from '../../shared/protocol/machine.ts';
import type { Anchor, AnchoredState } from '../../shared/sealing/anchor.ts';
import { decode, encode } from '../../shared/wire/codec.ts';
import { MemoryCloud } from './memory-cloud.ts';
import { memberships } from './simulation.ts';

/** Counts what a process does to the world, and ends the process before the effect that is to be its last but none. */
export class Life {
  readonly crashAt: number;
  readonly crashed = Promise.withResolvers<void>();
  readonly #end = new AbortController();
  count = 0;

  constructor(crashAt = Number.POSITIVE_INFINITY) {
    this.crashAt = crashAt;
  }

  get isOver(): boolean {
    return this.count >= this.crashAt;
  }

  get signal(): AbortSignal {
    return this.#end.signal;
  }

  /** False once the process is dead: the effect does not happen. */
  step(): boolean {
    if (this.isOver) return false;
    this.count += 1;
    if (this.isOver) {
      this.#end.abort();
      this.crashed.resolve();
    }
    return !this.isOver;
  }

  orDie(): void {
    if (!this.step()) throw new Error('the process has ended');
  }
}

/** Remembers the owner's newest state in effect, as a connector and a registry do. */
export class MemoryAnchor implements Anchor {
  newestState: StateVersion | undefined;
  before: () => void = () => {};

  async newest(): Promise<AnchoredState> {
    this.before();
    const { version, digest } = this.newestState ?? NO_STATE;
    return { version, is: (one) => one === digest, isEarly: false };
  }

  advance(state: StateVersion | undefined): void {
    if (state !== undefined && state.version > (this.newestState?.version ?? 0)) this.newestState = state;
  }
}

export const OWNER = partyId(1);
export const parties: ReadonlyMap<PartyId, Membership> = memberships(committee(4, 1), 'sealed-network');
export const HOLDERS: readonly PartyId[] = peersOf(parties.get(OWNER)!);

/** One process of a node, as far as its sealed storage goes. */
interface Process {
  readonly seal: NodeSeal;
  readonly incarnation: number;
}

export interface OwnerProcess extends Process {
  readonly state: StateStore;
}

/** What may happen to a message on its way; undefined: it is lost. */
export type Rule = (from: PartyId, to: PartyId, message: SealMessage) => SealMessage | undefined;

type Unsealing = Partial<Parameters<typeof unseal>[2]>;

/** Party 1 with its storage, and parties 2 to 4 who keep things for it, in one process and without a network between. */
export class SealedNetwork {
  readonly clouds: Map<PartyId, MemoryCloud>;
  readonly anchor = new MemoryAnchor();
  readonly down = new Set<PartyId>();
  /** Enclave time. */
  nowMs: () => number = Date.now;
  /** How long a half waits for all holders. */
  dealMs = 2;
  rule: Rule = (_from, _to, message) => message;
  readonly #processes = new Map<PartyId, Process>();
  /** Each stream keeps its order. */
  readonly #streams = new Map<string, Promise<void>>();
  #boots = 0;

  private constructor(clouds: ReadonlyMap<PartyId, MemoryCloud>, boots: number) {
    this.clouds = new Map(clouds);
    this.#boots = boots;
  }

  /** Party 1 is not founded yet. */
  static async create(): Promise<SealedNetwork> {
    const network = new SealedNetwork(new Map([...parties.keys()].map((one) => [one, new MemoryCloud()])), 0);
    for (const party of HOLDERS) {
      const tierOne = await createTierOne(network.#place(party));
      await network.#start(party, tierOne, new Life());
    }
    return network;
  }

  /** Everything as it lies in the buckets now. Its holders have started again, its owner has not. */
  async copy(): Promise<SealedNetwork> {
    const clouds = new Map([...this.clouds].map(([party, cloud]) => [party, cloud.copy()]));
    const network = new SealedNetwork(clouds, this.#boots);
    network.anchor.advance(this.anchor.newestState);
    for (const party of HOLDERS) await network.restartHolder(party);
    return network;
  }

  /** What the earlier process was writing is there or not before the next one reads: it does not outlive it. */
  async restartHolder(party: PartyId): Promise<void> {
    this.#processes.get(party)?.seal.close();
    await this.#streams.get(`${OWNER}>${party}`);
    const tierOne = await openTierOne(this.#place(party));
    if (tierOne === undefined) throw new Error('this holder was never founded');
    await this.#start(party, tierOne, new Life());
  }

  holder(party: PartyId): NodeSeal {
    return this.#processes.get(party)!.seal;
  }

  recall(party: PartyId): Promise<Recollection> {
    return this.holder(party).memory.recall(OWNER);
  }

  /** @param secrets of its first state */
  async found(secrets: Changes, life = new Life()): Promise<OwnerProcess> {
    this.#owned(life);
    const process = await this.#start(OWNER, await createTierOne(this.#place(OWNER)), life);
    const state = await process.seal.found(parties.get(OWNER)!, secrets);
    return { ...process, state };
  }

  /** A later life of party 1. @throws {KmsError} as unseal(); if there is no tier 1 */
  async restart(life = new Life(), change: Unsealing = {}): Promise<OwnerProcess> {
    this.#owned(life);
    const tierOne = await openTierOne(this.#place(OWNER));
    if (tierOne === undefined) throw new Error('never founded');
    const process = await this.#start(OWNER, tierOne, life);
    const membership = parties.get(OWNER)!;
    const state = await unseal(membership, process.seal, {
      recall: (party) => {
        life.orDie();
        if (this.down.has(party)) return new Promise(() => {});
        return this.recall(party);
      },
      anchor: this.anchor,
      nowMs: () => this.nowMs(),
      onRecalled: () => {},
      signal: life.signal,
      log: silent,
      ...change,
    });
    process.seal.announce(membership, state);
    if (life.isOver) {
      // It died of a message, which fails nothing: what it began from now on would be taken for the next life's.
      process.seal.close();
      throw new Error('the process has ended');
    }
    return { ...process, state };
  }

  /** A holder is there again. */
  connect(owner: OwnerProcess, party: PartyId): void {
    this.down.delete(party);
    owner.seal.onLine(lineTo(party));
  }

  /** All messages that are on their way have been dealt with. */
  async settled(): Promise<void> {
    for (let before = ''; before !== this.#trace; ) {
      before = this.#trace;
      await Promise.all(this.#streams.values());
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #delivered = 0;
  get #trace(): string {
    return `${this.#delivered}`;
  }

  #owned(life: Life): void {
    const { objects, dataKeys } = this.clouds.get(OWNER)!;
    objects.before = () => life.orDie();
    dataKeys.before = () => life.orDie();
    this.anchor.before = () => life.orDie();
  }

  async #start(party: PartyId, tierOne: NodeSealParts['tierOne'], life: Life): Promise<Process> {
    const incarnation = party === OWNER ? ++this.#boots : 1;
    const seal = await NodeSeal.open({
      ...{ roll: parties.get(party)!, cloud: this.clouds.get(party)!, tierOne, rng: systemRng },
      ...{ dealMs: this.dealMs, nowMs: () => this.nowMs(), isAnchored: true, log: silent, onLost: () => {} },
      onChange: () => {
        if (party === OWNER && life.step()) this.anchor.advance(this.#processes.get(OWNER)?.seal.inEffect);
      },
      tell: (line, message) => {
        if (life.step()) this.#send(party, line.party, message, incarnation, life);
      },
      lines: () => HOLDERS.filter((one) => party === OWNER && !this.down.has(one)).map(lineTo),
      incarnation: () => incarnation,
    });
    const process = { seal, incarnation };
    this.#processes.set(party, process);
    return process;
  }

  #send(from: PartyId, to: PartyId, message: MembershipMessage, incarnation: number, life: Life): void {
    const bytes = encode(membershipMessage, message);
    const stream = `${from}>${to}`;
    const last = this.#streams.get(stream) ?? Promise.resolve();
    const deliver = async (): Promise<void> => {
      this.#delivered += 1;
      const receiver = this.#processes.get(to);
      const sent = decode(membershipMessage, bytes);
      if (receiver === undefined || this.down.has(to) || this.down.has(from) || !isSeal(sent)) return;
      const arrived = this.rule(from, to, sent);
      if (arrived === undefined) return;
      await receiver.seal.receive(lineTo(from), arrived, incarnation).catch(() => undefined);
    };
    this.#streams.set(
      stream,
      last.then(async () => {
        if (from === OWNER || this.#lifeOf(to)?.step() !== false) await deliver();
      }),
    );
    if (from === OWNER) this.#lives.set(OWNER, life);
  }

  readonly #lives = new Map<PartyId, Life>();
  #lifeOf(party: PartyId): Life | undefined {
    return this.#lives.get(party);
  }

  #place(party: PartyId) {
    const { networkId } = parties.get(party)!;
    return { cloud: this.clouds.get(party)!, networkId, party, hashes: nodePrimitives, rng: systemRng };
  }
}

function isSeal(message: MembershipMessage): message is SealMessage {
  return message.kind.startsWith('state-') || message.kind.startsWith('half-');
}

export function lineTo(party: PartyId): Line {
  const fake: Partial<Line> = { party };
  return fake as Line;
}
