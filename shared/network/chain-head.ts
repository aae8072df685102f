/** The newest block of the gateway chain that this node believes. */
export interface ChainHead {
  /** Never decreases. */
  block(): number;
}

/**
 * Where a build learns of blocks; `#roots` names it beside the roots, since both are what a build believes. Undefined: there
 * is no chain to ask, which is in production and in the lab until the gateway exists. Such a node cannot know when a
 * configuration becomes valid, so it keeps configuration 0 and refuses every later one.
 * @param nowMs time of the asker, Unix
 */
export type OpenChainHead = (nowMs: () => number) => ChainHead | undefined;
