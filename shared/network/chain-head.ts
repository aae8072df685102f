import type { Digest } from '../ids.ts';

/** The newest block of the gateway chain that this node believes. */
export interface ChainHead {
  /** What is valid is decided by it. Never decreases; 0 before any block is known. */
  block(): number;
  /** The block now, for what must not be judged by an old one. @throws {KmsError} STALE_HEAD, UNAVAILABLE if it is not known */
  now(): Promise<number>;
}

/** The gateway chain, which knows what operators have published too. */
export interface GatewayChain extends ChainHead {
  /** Digest of the configuration that the registry holds under a number, now; undefined: none. @throws {KmsError} as now(); NOT_PROVEN */
  published(number: number): Promise<Digest | undefined>;
}

/**
 * Where a build learns of blocks in networks without a gateway; `#roots` names it beside the roots, since both are what a build
 * believes. Undefined: there is no chain to ask, which is so in production and in the lab. Such a node cannot know when a
 * configuration becomes valid, so it keeps configuration 0 and refuses every later one. Networks with a gateway ask its
 * chain, in every build alike (enclave/chains).
 * @param nowMs time of the asker, Unix
 */
export type OpenChainHead = (nowMs: () => number) => ChainHead | undefined;

/**
 * How old the newest block of a chain may be against enclave time, in seconds, where a configuration does not say otherwise: so
 * long can whoever withholds newer blocks keep a revoked permission alive. With the rule `finalized` of a chain whose
 * finality takes minutes it must be longer.
 */
export const MAX_HEAD_AGE_S = 120;

/**
 * How far, in seconds of block time, a block that a proof is about may lie behind the newest one that is believed: parents
 * read proofs from a block that is a little older by the time it is checked.
 */
export const MAX_HEADER_LAG_S = 30;
