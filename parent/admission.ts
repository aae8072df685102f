import type { LogReason } from '../shared/log.ts';

export interface AdmissionLimits {
  /** Connections at once. */
  readonly maxConnections: number;
  /** Connections at once from one remote address. */
  readonly maxPerAddress: number;
  /** New connections a second, in the long run and as a burst; for each remote address, and four times that for all. */
  readonly acceptsPerSecond: number;
  readonly acceptBurst: number;
}

const ALL_TO_ONE = 4;
/** Addresses whose rate is remembered. A full memory forgets those that have been quiet longest. */
const MAX_ADDRESSES = 4096;

/** Who may connect now: counts and rates, in all and for each remote address. */
export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #nowMs: () => number;
  readonly #open = new Map<string, number>();
  readonly #buckets = new Map<string, Bucket>();
  readonly #all: Bucket;
  #count = 0;

  /** @param nowMs a clock that never steps back */
  constructor(limits: AdmissionLimits, nowMs: () => number) {
    this.#limits = limits;
    this.#nowMs = nowMs;
    const { acceptsPerSecond, acceptBurst } = limits;
    this.#all = new Bucket(ALL_TO_ONE * acceptsPerSecond, ALL_TO_ONE * acceptBurst, nowMs());
  }

  get count(): number {
    return this.#count;
  }

  /** Why this address may not connect now, or undefined: then it counts until leave(). */
  enter(address: string): LogReason | undefined {
    const open = this.#open.get(address) ?? 0;
    if (this.#count >= this.#limits.maxConnections) return 'connection-limit';
    if (open >= this.#limits.maxPerAddress) return 'address-limit';
    const nowMs = this.#nowMs();
    // An address that is over its own rate takes nothing from the others' share.
    if (!this.#bucket(address, nowMs).take(nowMs) || !this.#all.take(nowMs)) return 'accept-rate';
    this.#count += 1;
    this.#open.set(address, open + 1);
    return undefined;
  }

  leave(address: string): void {
    const open = this.#open.get(address) ?? 0;
    if (open === 0) return;
    this.#count -= 1;
    if (open === 1) this.#open.delete(address);
    else this.#open.set(address, open - 1);
  }

  #bucket(address: string, nowMs: number): Bucket {
    const { acceptsPerSecond, acceptBurst } = this.#limits;
    const bucket = this.#buckets.get(address) ?? new Bucket(acceptsPerSecond, acceptBurst, nowMs);
    // Deleted and set again: the map's order is that of the last connections.
    this.#buckets.delete(address);
    this.#buckets.set(address, bucket);
    if (this.#buckets.size > MAX_ADDRESSES) {
      for (const oldest of this.#buckets.keys()) {
        this.#buckets.delete(oldest);
        break;
      }
    }
    return bucket;
  }
}

class Bucket {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #atMs: number;

  constructor(perSecond: number, burst: number, nowMs: number) {
    this.#perMs = perSecond / 1000;
    this.#burst = burst;
    this.#tokens = burst;
    this.#atMs = nowMs;
  }

  take(nowMs: number): boolean {
    this.#tokens = Math.min(this.#burst, this.#tokens + (nowMs - this.#atMs) * this.#perMs);
    this.#atMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
