import type { Digest } from '../ids.ts';

/** What is anchored of a node's state: remembered where no node and no operator can turn it back. */
export interface AnchoredState {
  /** 0: nothing yet. */
  readonly version: number;
  /** Whether that version is the state of this digest (state-record.ts). */
  readonly is: (digest: Digest) => boolean;
  /** The epoch of this node has not begun: nothing of it can be anchored yet, and nothing is asked of it. */
  readonly isEarly: boolean;
}

/** What is remembered of one node outside all nodes (decision 0005, "Anchor"). */
export interface Anchor {
  /** @throws {KmsError} UNAVAILABLE, STALE_HEAD: nobody can say now; NOT_PROVEN, STORE_FAILED */
  newest(): Promise<AnchoredState>;
}
