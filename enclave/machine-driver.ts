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

/**
 * Runs one sans-IO machine: one step at a time, effects strictly in order, each complete before the next, so that
 * nothing is spoken before what it stands for is durable.
 */
export class MachineDriver {
  readonly #machine: Machine;
  readonly #ports: DriverPorts;
  readonly #steps: ((nowMs: number) => readonly Effect[])[] = [];
  #isRunning = false;
  #isStopped = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(machine: Machine, ports: DriverPorts) {
    this.#machine = machine;
    this.#ports = ports;
  }

  start(): void {
    this.#enqueue((nowMs) => this.#machine.start(nowMs));
  }

  receive(from: PartyId, message: Uint8Array): void {
    this.#enqueue((nowMs) => this.#machine.receive(from, message, nowMs));
  }

  stop(): void {
    this.#isStopped = true;
    this.#steps.length = 0;
    clearTimeout(this.#timer);
  }

  #enqueue(step: (nowMs: number) => readonly Effect[]): void {
    if (this.#isStopped) return;
    this.#steps.push(step);
    if (!this.#isRunning) void this.#run();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    try {
      for (let step = this.#steps.shift(); step !== undefined; step = this.#steps.shift()) {
        for (const effect of step(this.#ports.nowMs())) {
          if (this.#isStopped) return;
          await this.#perform(effect);
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
    this.#timer = setTimeout(() => this.#enqueue((nowMs) => this.#machine.tick(nowMs)), delayMs);
  }
}
