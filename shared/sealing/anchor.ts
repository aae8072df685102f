import type { Digest } from '../ids.ts';

/** What is anchored of a node's state: remembered where no node and no operator can turn it back. */
export interface AnchoredState {
  /** 0: nothing yet. */
  readonly version: number;
  /** Whether that version is the state of this digest (state-record.ts). */
  readonly is: (digest: Digest) => boolean;
  /** Whether a state of this node could be anchored now: its epoch is the active one. Otherwise nothing is asked of it either. */
  readonly isOpen: boolean;
}

/** What is remembered of one node outside all nodes (decision 0005, "Anchor"). */
export interface Anchor {
  /** @throws {KmsError} UNAVAILABLE, STALE_HEAD: nobody can say now; NOT_PROVEN, STORE_FAILED */
  newest(): Promise<AnchoredState>;
}

/** `old`: below what is anchored, or another state of the same version; whoever has it was turned back. */
export type AnchorVerdict = 'anchored' | 'ahead' | 'old';

/** How a state of a node stands to what is anchored of it. */
export function heldAgainst(
  state: { readonly version: number; readonly digest: Digest },
  anchored: AnchoredState,
): AnchorVerdict {
  if (state.version > anchored.version) return 'ahead';
  return state.version === anchored.version && anchored.is(state.digest) ? 'anchored' : 'old';
}
