import type { PartyId } from '../../shared/ids.ts';

const MAX_BYTES_PER_PEER = 16 << 20;
/** What a message costs beyond its payload. */
const ENTRY_BYTES = 256;

/**
 * Protocol messages that came before this node may act on them: peers may be ready a little sooner. Bounded for each peer;
 * what is over is dropped, as a network may.
 */
export class HeldMessages<T> {
  readonly #messages: { readonly from: PartyId; readonly message: T }[] = [];
  readonly #bytes = new Map<PartyId, number>();

  /** @returns false if it was dropped */
  hold(from: PartyId, message: T, sizeBytes: number): boolean {
    const held = (this.#bytes.get(from) ?? 0) + sizeBytes + ENTRY_BYTES;
    if (held > MAX_BYTES_PER_PEER) return false;
    this.#bytes.set(from, held);
    this.#messages.push({ from, message });
    return true;
  }

  /** All of them in the order in which they came; none is held afterwards. */
  release(): readonly { readonly from: PartyId; readonly message: T }[] {
    this.#bytes.clear();
    return this.#messages.splice(0);
  }
}
