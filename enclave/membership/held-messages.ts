import type { PartyId } from '../../shared/ids.ts';

const MAX_BYTES_PER_PEER = 16 << 20;
/** What a message costs beyond its payload. */
const ENTRY_BYTES = 256;
/** Many rounds: what is older nobody waits for any more. */
const MAX_AGE_MS = 5 * 60_000;

interface Held<T> {
  readonly from: PartyId;
  readonly message: T;
  readonly costBytes: number;
  readonly atMs: number;
}

/**
 * Protocol messages that came while this node may not act on them: peers may be ready a little sooner. Bounded for each peer, in size
 * and age; what is over is dropped, as a network may.
 */
export class HeldMessages<T> {
  readonly #messages: Held<T>[] = [];
  readonly #bytes = new Map<PartyId, number>();

  /** @param nowMs never decreases. @returns false if it was dropped */
  hold(from: PartyId, message: T, sizeBytes: number, nowMs: number): boolean {
    this.#dropOld(nowMs);
    const costBytes = sizeBytes + ENTRY_BYTES;
    const held = this.#heldFor(from) + costBytes;
    if (held > MAX_BYTES_PER_PEER) return false;
    this.#bytes.set(from, held);
    this.#messages.push({ from, message, costBytes, atMs: nowMs });
    return true;
  }

  /** All that are not too old, in the order in which they came; none is held afterwards. */
  release(nowMs: number): readonly { readonly from: PartyId; readonly message: T }[] {
    this.#dropOld(nowMs);
    this.#bytes.clear();
    return this.#messages.splice(0);
  }

  #dropOld(nowMs: number): void {
    const first = this.#messages.findIndex(({ atMs }) => nowMs - atMs <= MAX_AGE_MS);
    const old = first < 0 ? this.#messages.splice(0) : this.#messages.splice(0, first);
    for (const { from, costBytes } of old) this.#bytes.set(from, this.#heldFor(from) - costBytes);
  }

  #heldFor(party: PartyId): number {
    return this.#bytes.get(party) ?? 0;
  }
}
