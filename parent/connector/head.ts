import { pause } from '../../gateway/adapter/backoff.ts';
import type { Chain } from '../../gateway/adapter/chain.ts';
import { type Heads, polledHeads } from '../../gateway/adapter/heads.ts';
import type { Moment } from './rotation.ts';

const POLL_MS = 250;

/** The newest block of a chain, asked for once for all that wait for blocks. */
export class Head {
  readonly #chain: Chain;
  readonly #pollMs: number;
  readonly #heads: Heads;
  #now: Moment | undefined;

  constructor(chain: Chain, pollMs = POLL_MS, heads = polledHeads) {
    [this.#chain, this.#pollMs, this.#heads] = [chain, pollMs, heads];
  }

  /** As it was seen last; asked for where it was never seen. @throws {KmsError} what Chain throws */
  async now(signal: AbortSignal): Promise<Moment> {
    this.#now ??= await this.#chain.latest(signal);
    return this.#now;
  }

  /** Until the signal is given; a chain that is down has no new blocks. */
  async run(signal: AbortSignal, onBlock: (now: Moment) => void): Promise<void> {
    while (!signal.aborted) {
      const asked = this.#heads.count;
      const newest = await this.#chain.latest(signal).catch(() => undefined);
      const isNew = newest !== undefined && newest.number !== this.#now?.number;
      if (newest !== undefined) this.#now = newest;
      if (isNew) onBlock(newest);
      // An answer that failed is asked for again without anybody's notice.
      if (newest === undefined) await pause(this.#pollMs, signal);
      else await this.#heads.changed(asked, this.#pollMs, signal);
    }
  }
}
