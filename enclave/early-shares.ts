import type { Digest, PartyId } from '../shared/ids.ts';
import type { PeerMessage } from '../shared/protocol/peer-message.ts';

type Share = Extract<PeerMessage, { kind: 'decryption-share' }>;

const MAX_BYTES_PER_PEER = 32 << 20;
const MAX_SHARES_PER_PEER = 1024;

/** Shares of decryptions this node has not been asked for yet. Bounded per peer: the oldest go first. */
export class EarlyShares {
  readonly #byPeer = new Map<PartyId, Map<Digest, Share>>();

  add(from: PartyId, id: Digest, share: Share): void {
    const kept = this.#byPeer.get(from) ?? new Map<Digest, Share>();
    this.#byPeer.set(from, kept);
    kept.delete(id);
    kept.set(id, share);
    let sizeBytes = 0;
    for (const one of kept.values()) sizeBytes += one.share.byteLength;
    for (const [oldest, one] of kept) {
      if (sizeBytes <= MAX_BYTES_PER_PEER && kept.size <= MAX_SHARES_PER_PEER) break;
      kept.delete(oldest);
      sizeBytes -= one.share.byteLength;
    }
  }

  take(id: Digest): readonly (readonly [PartyId, Share])[] {
    const taken: [PartyId, Share][] = [];
    for (const [from, kept] of this.#byPeer) {
      const share = kept.get(id);
      if (share !== undefined) taken.push([from, share]);
      kept.delete(id);
    }
    return taken;
  }
}
