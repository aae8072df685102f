import type { Digest, PartyId } from '../shared/ids.ts';

/** Per peer; what is over makes the peer start anew. */
const MAX_BYTES_PER_PEER = 16 << 20;
/** What a message costs beyond its body. */
const ENTRY_BYTES = 256;

interface Kept {
  readonly messages: { readonly purpose: Digest; readonly body: Uint8Array }[];
  sizeBytes: number;
}

/** Messages about key requests that this node has not been given yet. Bounded per peer, unread. */
export class EarlyCeremonyMessages {
  readonly #byPeer = new Map<PartyId, Kept>();

  keep(from: PartyId, purpose: Digest, body: Uint8Array): void {
    const sizeBytes = body.length + ENTRY_BYTES;
    const before = this.#byPeer.get(from);
    const isFull = before === undefined || before.sizeBytes + sizeBytes > MAX_BYTES_PER_PEER;
    const kept = isFull ? { messages: [], sizeBytes: 0 } : before;
    kept.messages.push({ purpose, body });
    kept.sizeBytes += sizeBytes;
    this.#byPeer.set(from, kept);
  }

  /** Those about one request, in order of arrival per peer; they are kept no longer. */
  take(purpose: Digest): readonly (readonly [PartyId, Uint8Array])[] {
    const taken: (readonly [PartyId, Uint8Array])[] = [];
    for (const [from, { messages }] of this.#byPeer) {
      const others = messages.filter((one) => one.purpose !== purpose);
      for (const one of messages) if (one.purpose === purpose) taken.push([from, one.body]);
      const sizeBytes = others.reduce((sum, { body }) => sum + body.length + ENTRY_BYTES, 0);
      this.#byPeer.set(from, { messages: others, sizeBytes });
    }
    return taken;
  }
}
