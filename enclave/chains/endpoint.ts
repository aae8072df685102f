import type { Digest } from '../../shared/ids.ts';
import type { Block } from './block.ts';

/** `finalized` and `latest` are the endpoint's own words for a block. */
export type BlockTag = 'finalized' | 'latest';

/** Storage of one contract. */
export interface SlotsOf {
  /** 20 bytes. */
  readonly address: Uint8Array;
  /** 32 bytes each. */
  readonly slots: readonly Uint8Array[];
}

/**
 * One JSON-RPC endpoint of a chain: what it says, not what is true. Answers are well formed and about what was asked.
 * Every method throws {KmsError} for an endpoint that does not answer so before the signal aborts.
 */
export interface ChainEndpoint {
  chainId(signal: AbortSignal): Promise<bigint>;
  /** Undefined: it has no such block. */
  blockByNumber(which: bigint | BlockTag, signal: AbortSignal): Promise<Block | undefined>;
  blockByHash(hash: Digest, signal: AbortSignal): Promise<Block | undefined>;
  /** Encoding of the header of the block of that hash. */
  header(hash: Digest, signal: AbortSignal): Promise<Uint8Array>;
  /** Nodes of the proofs of an account and its slots at the block of that number. */
  proof(of: SlotsOf, block: bigint, signal: AbortSignal): Promise<readonly Uint8Array[]>;
}
