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
  /** Called after each step whose effects are all done. */
  readonly onProgress: () => void;
}

/** Timers further away are split: setTimeout takes 31 bits. */
const MAX_TIMER_MS = 60_000;

interface Step {
  readonly run: () => readonly Effect[];
  readonly done: () => void;
}

/**
 * Runs one sans-IO machine: one step at a time, effects strictly in order, each complete before the next, so that
 * nothing is spoken before what it stands for is durable. Deadlines come before messages: a peer that keeps the queue
 * full stops no round.
 */
export class MachineDriver {
  readonly #machine: Machine;
  readonly #ports: DriverPorts;
  readonly #steps: Step[] = [];
  #isRunning = false;
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

  /** Resolves when the message has been dealt with, so that its sender can be held back meanwhile. */
  receive(from: PartyId, message: Uint8Array): Promise<void> {
    const arrivedMs = this.#ports.nowMs();
    return this.#enqueue(() => this.#machine.receive(from, message, arrivedMs));
  }

  stop(): void {
    this.#isStopped = true;
    for (const { done } of this.#steps.splice(0)) done();
    clearTimeout(this.#timer);
  }

  #enqueue(run: () => readonly Effect[]): Promise<void> {
    if (this.#isStopped) return Promise.resolve();
    return new Promise((done) => {
      this.#steps.push({ run, done });
      if (!this.#isRunning) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    try {
      for (let step = this.#next(); step !== undefined; step = this.#next()) {
        try {
          for (const effect of step.run()) {
            if (this.#isStopped) return;
            await this.#perform(effect);
          }
        } finally {
          step.done();
        }
        this.#ports.onProgress();
        // Long ceremonies leave room for requests and heartbeats between two steps.
        await new Promise((resolve) => setImmediate(resolve));
      }
      this.#sleep();
    } catch (error) {
      this.stop();
      this.#ports.onFailure(error);
    } finally {
      this.#isRunning = false;
    }
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

  async #perform(effect: Effect): Promise<void> {
    if (effect.kind === 'send') this.#ports.send(effect.to, effect.message);
    else if (effect.kind === 'persist') await this.#ports.store.put(effect.name, effect.record);
    else await this.#ports.store.delete(effect.name);
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
