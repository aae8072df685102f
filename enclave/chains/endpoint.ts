import type { Digest } from '../../shared/ids.ts';
import type { Block } from './block.ts';

/** `finalized` and `latest` are the endpoint's own words for a block. */
export type BlockTag = 'finalized' | 'latest';

/**
 * One JSON-RPC endpoint of a chain: what it says, not what is true. Answers are well formed and about what was asked.
 * Every method throws {KmsError} for an endpoint that does not answer so before the signal aborts.
 */
export interface ChainEndpoint {
  chainId(signal: AbortSignal): Promise<bigint>;
  /** Undefined: it has no such block. */
  blockByNumber(which: bigint | BlockTag, signal: AbortSignal): Promise<Block | undefined>;
  blockByHash(hash: Digest, signal: AbortSignal): Promise<Block | undefined>;
}
