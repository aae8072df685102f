/** Certificate chains that were verified, by hash, least recently used first out. */
export class ChainCache {}
