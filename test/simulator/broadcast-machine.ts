import type { Broadcast as BroadcastClass } from '../../shared/protocol/broadcast/broadcast.ts';
import { type Effect, type Machine, type Membership, sendToAll } from '../../shared/protocol/machine.ts';

/** Lets the simulator run one broadcast step by itself. */
export class BroadcastMachine implements Machine {
  readonly broadcast: BroadcastClass;
  readonly #membership: Membership;
  readonly #value: Uint8Array;

  constructor(membership: Membership, broadcast: BroadcastClass, value: Uint8Array) {
    this.#membership = membership;
    this.broadcast = broadcast;
    this.#value = value;
  }

  get nextWakeMs(): number | undefined {
    return this.broadcast.nextWakeMs;
  }

  start(nowMs: number): Effect[] {
    return this.#sends(this.broadcast.propose(this.#value, nowMs));
  }

  receive(from: Parameters<Machine['receive']>[0], message: Uint8Array, nowMs: number): Effect[] {
    return this.#sends(this.broadcast.receive(from, message, nowMs));
  }

  tick(nowMs: number): Effect[] {
    return this.#sends(this.broadcast.tick(nowMs));
  }

  #sends(messages: readonly Uint8Array[]): Effect[] {
    return messages.flatMap((message) => sendToAll(this.#membership, message));
  }
}
