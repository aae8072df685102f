import type { PartyId } from '../shared/ids.ts';
import type { Effect, Machine } from '../shared/protocol/machine.ts';
import type { SealedStore } from './store/sealed-store.ts';

/** What a machine needs from the process around it. */
export interface DriverPorts {
  readonly store: SealedStore;
  readonly send: (to: PartyId, message: Uint8Array) => void;
  /** Enclave time. */
  readonly nowMs: () => number;
  /** A step or an effect failed: the machine is stopped, nothing behind the effect was done. */
  readonly onFailure: (error: unknown) => void;
  /** Called right after each step; what it returns is called when all effects of that step and of those before are done. */
  readonly onStep: () => () => void;
}

/** Timers further away are split: setTimeout takes 31 bits. */
const MAX_TIMER_MS = 60_000;

/** So many messages of one peer may wait for their effects before it is held back. */
const MAX_PENDING_PER_PEER = 256;

interface Step {
  readonly run: () => readonly Effect[];
  readonly done: () => void;
  /** Whose message it is. */
  readonly from?: PartyId;
}

interface Performance {
  readonly effects: readonly Effect[];
  readonly after: () => void;
  readonly step: Step;
}

/**
 * Runs one sans-IO machine: one step at a time, effects strictly in order, each complete before the next, so that
 * nothing is spoken before what it stands for is durable. Steps do not wait for effects: a change of state takes effect when
 * other nodes say so, and what they say comes in on the same streams as the messages of the protocol. Deadlines come before messages:
 * a peer that keeps the queue full stops no round.
 */
export class MachineDriver {
  readonly #machine: Machine;
  readonly #ports: DriverPorts;
  readonly #steps: Step[] = [];
  readonly #performances: Performance[] = [];
  /** Messages whose effects are not done yet, by sender. */
  readonly #pending = new Map<PartyId, number>();
  /** Senders that are held back. */
  readonly #held = new Map<PartyId, (() => void)[]>();
  #isRunning = false;
  #isPerforming = false;
  #isStopped = false;
  /** The first step is start(). */
  #isStarted = false;
  /** Deadlines and messages take turns when both are waiting. */
  #hasTicked = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(machine: Machine, ports: DriverPorts) {
    this.#machine = machine;
    this.#ports = ports;
  }

  start(): void {
    void this.#enqueue(() => this.#machine.start(this.#ports.nowMs()));
  }

  /** A step of the machine that is neither a message nor a deadline. */
  run(step: (nowMs: number) => readonly Effect[]): void {
    void this.#enqueue(() => step(this.#ports.nowMs()));
  }

  /** Resolves when the machine has taken the message and its sender may be read on. */
  async receive(from: PartyId, message: Uint8Array): Promise<void> {
    const arrivedMs = this.#ports.nowMs();
    await this.#enqueue(() => this.#machine.receive(from, message, arrivedMs), from);
    while (!this.#isStopped && (this.#pending.get(from) ?? 0) >= MAX_PENDING_PER_PEER) {
      await new Promise<void>((resume) => this.#held.set(from, [...(this.#held.get(from) ?? []), resume]));
    }
  }

  stop(): void {
    this.#isStopped = true;
    for (const { done } of this.#steps.splice(0)) done();
    for (const from of [...this.#held.keys()]) this.#release(from);
    clearTimeout(this.#timer);
  }

  #enqueue(run: () => readonly Effect[], from?: PartyId): Promise<void> {
    if (this.#isStopped) return Promise.resolve();
    return new Promise((done) => {
      this.#steps.push(from === undefined ? { run, done } : { run, done, from });
      if (!this.#isRunning) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    try {
      for (let step = this.#next(); step !== undefined; step = this.#next()) {
        try {
          this.#take(step, step.run());
        } finally {
          step.done();
        }
        // Long ceremonies leave room for requests and heartbeats between two steps.
        await new Promise((resolve) => setImmediate(resolve));
      }
      this.#sleep();
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#isRunning = false;
    }
  }

  #take(step: Step, effects: readonly Effect[]): void {
    const { from } = step;
    if (from !== undefined && effects.length > 0) this.#pending.set(from, (this.#pending.get(from) ?? 0) + 1);
    this.#performances.push({ effects, after: this.#ports.onStep(), step });
    if (!this.#isPerforming) void this.#performAll();
  }

  async #performAll(): Promise<void> {
    this.#isPerforming = true;
    try {
      for (let next = this.#performances.shift(); next !== undefined; next = this.#performances.shift()) {
        const { effects, after, step } = next;
        for (const group of grouped(effects)) {
          if (this.#isStopped) return;
          await this.#perform(group);
        }
        if (this.#isStopped) return;
        after();
        if (step.from !== undefined && effects.length > 0) this.#settle(step.from);
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#isPerforming = false;
    }
  }

  #settle(from: PartyId): void {
    const left = (this.#pending.get(from) ?? 1) - 1;
    if (left > 0) this.#pending.set(from, left);
    else this.#pending.delete(from);
    if (left < MAX_PENDING_PER_PEER) this.#release(from);
  }

  #release(from: PartyId): void {
    const waiting = this.#held.get(from) ?? [];
    this.#held.delete(from);
    for (const resume of waiting) resume();
  }

  #fail(error: unknown): void {
    if (this.#isStopped) return;
    this.stop();
    this.#ports.onFailure(error);
  }

  /** A deadline that has come, else the oldest message. */
  #next(): Step | undefined {
    const wakeMs = this.#isStarted ? this.#machine.nextWakeMs : undefined;
    const isDue = wakeMs !== undefined && wakeMs <= this.#ports.nowMs();
    if (isDue && !this.#hasTicked) {
      this.#hasTicked = true;
      return { run: () => this.#machine.tick(this.#ports.nowMs()), done: () => undefined };
    }
    this.#hasTicked = false;
    const step = this.#steps.shift();
    if (step !== undefined) this.#isStarted = true;
    if (step === undefined && isDue) return this.#next();
    return step;
  }

  async #perform(group: Group): Promise<void> {
    if (group.kind === 'change') await this.#ports.store.change(group.changes);
    else this.#ports.send(group.to, group.message);
  }

  #sleep(): void {
    clearTimeout(this.#timer);
    const wakeMs = this.#machine.nextWakeMs;
    if (wakeMs === undefined || this.#isStopped) return;
    const delayMs = Math.min(Math.max(1, wakeMs - this.#ports.nowMs()), MAX_TIMER_MS);
    this.#timer = setTimeout(
      () => void this.#enqueue(() => this.#machine.tick(this.#ports.nowMs())),
      delayMs,
    );
  }
}

type Group =
  | Extract<Effect, { kind: 'send' }>
  | { readonly kind: 'change'; readonly changes: Map<string, Uint8Array | undefined> };

/** What is to become durable before the next message leaves becomes so at once. */
function grouped(effects: readonly Effect[]): readonly Group[] {
  const groups: Group[] = [];
  for (const effect of effects) {
    if (effect.kind === 'send') {
      groups.push(effect);
      continue;
    }
    const last = groups.at(-1);
    const change = last?.kind === 'change' ? last : { kind: 'change' as const, changes: new Map() };
    if (change !== last) groups.push(change);
    change.changes.set(effect.name, effect.kind === 'persist' ? effect.record : undefined);
  }
  return groups;
}
