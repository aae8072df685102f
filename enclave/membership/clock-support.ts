import type { PartyId } from '../../shared/ids.ts';
import type { ClockReading } from '../../shared/membership/clock-reading.ts';
import { equalBytes } from '../../shared/wire/bytes.ts';

/** A reading that took longer says too little. */
const MAX_ANSWER_MS = 5_000;
const MAX_DIFFERENCE_MS = 60_000;
/** A reading counts for so long; members are asked more often. */
const SUPPORT_MS = 90_000;

/**
 * Which members agree with this node about the time. With t + 1 of them one is honest, so t liars can neither confirm a clock
 * that is wrong nor, while t + 1 honest ones are reachable, spoil one that is right. Sans-IO.
 */
export class ClockSupport {
  readonly #needed: number;
  readonly #asked = new Map<PartyId, { readonly nonce: Uint8Array; readonly atMs: number }>();
  readonly #supporters = new Map<PartyId, number>();

  /** @param needed t + 1 */
  constructor(needed: number) {
    this.#needed = needed;
  }

  /** An older question to the same member is void. @param monotonicMs when it was asked */
  asked(party: PartyId, nonce: Uint8Array, monotonicMs: number): void {
    this.#asked.set(party, { nonce, atMs: monotonicMs });
  }

  /** Takes a reading whose signature holds. @param ownMs enclave time of this node now */
  read(party: PartyId, { nonce, timeMs }: ClockReading, ownMs: number, monotonicMs: number): void {
    const question = this.#asked.get(party);
    if (question === undefined || !equalBytes(question.nonce, nonce)) return;
    this.#asked.delete(party);
    if (monotonicMs - question.atMs > MAX_ANSWER_MS) return;
    if (Math.abs(Number(timeMs) - ownMs) <= MAX_DIFFERENCE_MS) this.#supporters.set(party, monotonicMs);
    else this.#supporters.delete(party);
  }

  isGood(monotonicMs: number): boolean {
    const fresh = [...this.#supporters.values()].filter((atMs) => monotonicMs - atMs <= SUPPORT_MS);
    return fresh.length >= this.#needed;
  }
}
