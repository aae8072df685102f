import type { PartyId } from '../ids.ts';

/** Limits what one peer can make this party do: `count` times at once, refilled evenly over `perMs`. */
export class Allowance {
  readonly #count: number;
  readonly #perMs: number;
  readonly #buckets = new Map<PartyId, { left: number; sinceMs: number }>();

  constructor(count: number, perMs: number) {
    this.#count = count;
    this.#perMs = perMs;
  }

  /** May it happen once more now? */
  has(peer: PartyId, nowMs: number): boolean {
    return this.#left(peer, nowMs) >= 1;
  }

  /** Counts one time. @returns whether it was allowed */
  take(peer: PartyId, nowMs: number): boolean {
    const left = this.#left(peer, nowMs);
    this.#buckets.set(peer, { left: left >= 1 ? left - 1 : left, sinceMs: nowMs });
    return left >= 1;
  }

  #left(peer: PartyId, nowMs: number): number {
    const { left, sinceMs } = this.#buckets.get(peer) ?? { left: this.#count, sinceMs: nowMs };
    return Math.min(this.#count, left + (this.#count * Math.max(0, nowMs - sinceMs)) / this.#perMs);
  }
}
