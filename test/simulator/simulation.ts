import { ed25519Signer, nodePrimitives } from '../../enclave/primitives.ts';
import { type Committee, committee } from '../../shared/committee.ts';
import { digest, epochId, type PartyId } from '../../shared/ids.ts';
import type { Effect, Machine, Membership } from '../../shared/protocol/machine.ts';
import { seededNumber, seededRng } from './random.ts';

/** One message on its way. */
export interface Delivery {
  readonly from: PartyId;
  readonly to: PartyId;
  readonly message: Uint8Array;
  readonly atMs: number;
}

/** What becomes of a message: any number of deliveries (none: dropped). */
export type Rule = (delivery: Delivery) => readonly Delivery[];

export interface Network {
  readonly minLatencyMs: number;
  readonly maxLatencyMs: number;
  /** Probability that a message is delivered twice. */
  readonly duplication: number;
  /** Probability that a message is lost and sent again after retryMs, as a reconnecting stream would. */
  readonly loss: number;
  readonly retryMs: number;
}

export const calmNetwork: Network = {
  minLatencyMs: 1,
  maxLatencyMs: 20,
  duplication: 0,
  loss: 0,
  retryMs: 200,
};
export const roughNetwork: Network = {
  minLatencyMs: 1,
  maxLatencyMs: 300,
  duplication: 0.1,
  loss: 0.1,
  retryMs: 200,
};

/** What a party has made durable. Survives crashes. */
export type Disk = Map<string, Uint8Array>;

/** Makes a party's machine from what is on its disk; called at the start and after each crash. */
export type Factory<M extends Machine> = (
  membership: Membership,
  disk: Disk,
  rng: (size: number) => Uint8Array,
) => M;

interface Party<M extends Machine> {
  readonly membership: Membership;
  readonly disk: Disk;
  machine: M | undefined;
  /** Counts process lives: events of an earlier life are void. */
  life: number;
  effectsDone: number;
}

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

export interface SimulationOptions<M extends Machine> {
  readonly n: number;
  readonly t: number;
  readonly seed: string;
  readonly factory: Factory<M>;
  readonly network?: Network;
  readonly rules?: readonly Rule[];
}

/** Memberships of a committee with keys derived from a seed. */
export function memberships(of: Committee, seed: string): Map<PartyId, Membership> {
  const signers = new Map(
    of.parties.map((party) => [party, ed25519Signer(seededRng(`${seed}/identity/${party}`)(32))]),
  );
  const identities = new Map([...signers].map(([party, signer]) => [party, signer.publicKey]));
  const common = {
    networkId: digest('11'.repeat(32)),
    configuration: digest('33'.repeat(32)),
    epoch: epochId(0),
    committee: of,
    identities,
  };
  return new Map(
    [...signers].map(([self, signer]) => [self, { ...common, self, signer, primitives: nodePrimitives }]),
  );
}

/**
 * A committee in one process under virtual time: seeded delays, loss, duplication and reordering, crashes between any
 * two effects, and rules that edit, drop, delay or add messages. The same seed gives the same run.
 */
export class Simulation<M extends Machine> {
  readonly committee: Committee;
  readonly #options: SimulationOptions<M>;
  readonly #parties = new Map<PartyId, Party<M>>();
  readonly #random;
  readonly #network: Network;
  #events: Event[] = [];
  #order = 0;
  #bytesSent = new Map<PartyId, number>();
  /** Crash a party right before its k-th effect (counted over all its lives). */
  readonly crashBefore = new Map<PartyId, number>();
  nowMs = 1_000_000;

  constructor(options: SimulationOptions<M>) {
    this.#options = options;
    this.committee = committee(options.n, options.t);
    this.#random = seededRng(`${options.seed}/network`);
    this.#network = options.network ?? calmNetwork;
    for (const [party, membership] of memberships(this.committee, options.seed)) {
      this.#parties.set(party, { membership, disk: new Map(), machine: undefined, life: 0, effectsDone: 0 });
    }
  }

  membership(party: PartyId): Membership {
    return this.#party(party).membership;
  }

  disk(party: PartyId): Disk {
    return this.#party(party).disk;
  }

  machine(party: PartyId): M | undefined {
    return this.#party(party).machine;
  }

  effectsDone(party: PartyId): number {
    return this.#party(party).effectsDone;
  }

  bytesSent(party: PartyId): number {
    return this.#bytesSent.get(party) ?? 0;
  }

  start(parties: readonly PartyId[] = this.committee.parties): void {
    for (const party of parties) this.restart(party);
  }

  crash(party: PartyId): void {
    const state = this.#party(party);
    state.machine = undefined;
    state.life++;
  }

  /** A new process life from what is on disk. */
  restart(party: PartyId): void {
    this.crash(party);
    const state = this.#party(party);
    const rng = seededRng(`${this.#options.seed}/party/${party}/${state.life}`);
    state.machine = this.#options.factory(state.membership, state.disk, rng);
    this.#step(party, (machine) => machine.start(this.nowMs));
  }

  /** Runs until the condition holds. @returns false when time is over or nothing is left to happen */
  run(until: () => boolean, forMs = 600_000): boolean {
    const endMs = this.nowMs + forMs;
    while (!until()) {
      const [next] = this.#events;
      if (next === undefined || next.atMs > endMs) {
        this.nowMs = Math.max(this.nowMs, endMs);
        return until();
      }
      this.#events.shift();
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.run();
    }
    return true;
  }

  /** Puts a message on its way, as the adversary may. */
  inject(delivery: Delivery): void {
    this.#deliver(delivery);
  }

  at(atMs: number, run: () => void): void {
    this.#schedule(atMs, run);
  }

  #party(party: PartyId): Party<M> {
    const state = this.#parties.get(party);
    if (state === undefined) throw new RangeError(`no party ${party}`);
    return state;
  }

  #step(party: PartyId, step: (machine: M) => readonly Effect[]): void {
    const { machine } = this.#party(party);
    if (machine === undefined) return;
    for (const effect of step(machine)) {
      const state = this.#party(party);
      state.effectsDone++;
      if (this.crashBefore.get(party) === state.effectsDone) {
        this.crash(party);
        return;
      }
      this.#perform(party, effect);
    }
    this.#wake(party);
  }

  #perform(party: PartyId, effect: Effect): void {
    const { disk } = this.#party(party);
    if (effect.kind === 'persist') disk.set(effect.name, effect.record.slice());
    else if (effect.kind === 'erase') disk.delete(effect.name);
    else this.#send(party, effect.to, effect.message);
  }

  #send(from: PartyId, to: PartyId, message: Uint8Array): void {
    this.#bytesSent.set(from, this.bytesSent(from) + message.length);
    const { minLatencyMs, maxLatencyMs, duplication, loss, retryMs } = this.#network;
    const latencyMs = minLatencyMs + seededNumber(this.#random) * (maxLatencyMs - minLatencyMs);
    const lossMs = seededNumber(this.#random) < loss ? retryMs : 0;
    let deliveries: readonly Delivery[] = [{ from, to, message, atMs: this.nowMs + latencyMs + lossMs }];
    if (seededNumber(this.#random) < duplication) deliveries = [...deliveries, ...deliveries];
    for (const rule of this.#options.rules ?? []) deliveries = deliveries.flatMap(rule);
    for (const delivery of deliveries) this.#deliver(delivery);
  }

  #deliver(delivery: Delivery): void {
    const { to, from, message, atMs } = delivery;
    this.#schedule(atMs, () =>
      this.#step(to, (machine) => machine.receive(from, message.slice(), this.nowMs)),
    );
  }

  #wake(party: PartyId): void {
    const { machine, life } = this.#party(party);
    const wakeMs = machine?.nextWakeMs;
    if (wakeMs === undefined) return;
    this.#schedule(Math.max(wakeMs, this.nowMs + 1), () => {
      const state = this.#party(party);
      const dueMs = state.machine?.nextWakeMs;
      if (state.life !== life || dueMs === undefined || dueMs > this.nowMs) return;
      this.#step(party, (current) => current.tick(this.nowMs));
    });
  }

  #schedule(atMs: number, run: () => void): void {
    const event = { atMs, order: this.#order++, run };
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#events[middle];
      if (other !== undefined && (other.atMs < atMs || (other.atMs === atMs && other.order < event.order)))
        low = middle + 1;
      else high = middle;
    }
    this.#events.splice(low, 0, event);
  }
}
