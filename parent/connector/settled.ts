/**
 * Whether what was done on a chain has come to stay: it was done already at a block that counts by now. A block that does not count
 * yet may be reorganised away, and what it held has to be done again.
 */
export class Settled {
  readonly #newestThatCounts: () => Promise<bigint>;
  /** By piece of work, the newest block when it was first seen to be done. */
  readonly #seen = new Map<string, bigint>();

  constructor(newestThatCounts: () => Promise<bigint>) {
    this.#newestThatCounts = newestThatCounts;
  }

  /** @param newest number of the chain's newest block, read after it was seen to be done */
  async isSettled(key: string, newest: bigint): Promise<boolean> {
    const seen = this.#seen.get(key) ?? newest;
    this.#seen.set(key, seen);
    if ((await this.#newestThatCounts()) < seen) return false;
    this.#seen.delete(key);
    return true;
  }

  /** It is not done (any more). */
  forget(key: string): void {
    this.#seen.delete(key);
  }
}
