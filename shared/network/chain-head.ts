import type { NetworkClass } from './network-class.ts';

/** The newest block of the gateway chain that this node believes. */
export interface ChainHead {
  /** Never decreases. */
  block(): number;
}

/** Block 0 of every mock network. */
export const MOCK_BLOCK_0_MS: number = Date.UTC(2026, 0, 1);
export const MOCK_BLOCK_MS = 1000;

/** A stand-in for the chain in mock networks: one block a second of enclave time since MOCK_BLOCK_0_MS. */
export function mockChainHead(nowMs: () => number): ChainHead {
  let highest = 0;
  return {
    block() {
      highest = Math.max(highest, Math.floor((nowMs() - MOCK_BLOCK_0_MS) / MOCK_BLOCK_MS));
      return highest;
    },
  };
}

/**
 * Undefined where there is no chain to ask, which is in production and in the lab until the gateway exists: such a node
 * cannot know when a configuration becomes valid, so it keeps configuration 0 and refuses every later one.
 */
export function chainHeadOf(of: NetworkClass, nowMs: () => number): ChainHead | undefined {
  return of === 'mock' ? mockChainHead(nowMs) : undefined;
}
