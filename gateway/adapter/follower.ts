import { codeOf } from '../../shared/errors.ts';
import { type Backoff, CHAIN_BACKOFF, pause, pauseMs, persistently } from './backoff.ts';
import type { Chain, LogFilter } from './chain.ts';
import type { Hex } from './chain-data.ts';
import { type RangeOutcome, type ReadBlock, readRange } from './confirmed-range.ts';
import { type CursorStore, extended, type Point, type Trail } from './cursor.ts';
import { type Heads, polledHeads } from './heads.ts';
import type { ChainLog } from './log.ts';

/** When a block counts: with so many blocks from it to the newest, itself included, or when the chain calls it finalized. */
export type Finality = { readonly confirmations: number } | 'finalized';

/** Blocks that were handled and are no more; what stands there now is delivered, from the first of them. */
export interface Reorganisation {
  readonly chainId: bigint;
  readonly fromBlock: bigint;
  readonly toBlock: bigint;
}

/**
 * Takes the logs of one block. Called again with the same block after a crash, a failure or a reorganisation: what it does must be
 * idempotent. Its block counts as handled when its promise resolves.
 */
export type BlockHandler = (block: ReadBlock, signal: AbortSignal) => Promise<void>;

export interface FollowerOptions {
  readonly chain: Chain;
  readonly filter: LogFilter;
  readonly finality: Finality;
  /** First block ever delivered. */
  readonly startBlock: bigint;
  readonly cursor: CursorStore;
  readonly handler: BlockHandler;
  readonly log: ChainLog;
  readonly onReorganisation?: (what: Reorganisation) => void;
  /** Blocks read at once. */
  readonly maxRange?: number;
  /** Of the chain; else it is polled. */
  readonly heads?: Heads | undefined;
  readonly pollMs?: number;
  readonly backoff?: Backoff;
}

const MAX_RANGE = 200;
export const POLL_MS = 50;

/**
 * Delivers the logs of some contracts block by block, each at least once and in order, across restarts, outages and reorganisations.
 * At most two ranges of blocks are held: the one being handled and the next. A block without logs moves the cursor and calls nobody.
 */
export class Follower {
  readonly #options: FollowerOptions;
  readonly #backoff: Backoff;
  readonly #heads: Heads;
  /** Count of heads just before the chain was last asked for blocks. */
  #asked = 0;
  #trail: Trail = [];
  #range: number;

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.#backoff = options.backoff ?? CHAIN_BACKOFF;
    this.#heads = options.heads ?? polledHeads;
    this.#range = options.maxRange ?? MAX_RANGE;
  }

  /** The newest block that was handled. */
  get position(): Point | undefined {
    return this.#trail[0];
  }

  /**
   * Follows until the signal is given.
   * @throws {KmsError} BAD_INPUT for an endpoint of another chain or a cursor that is none: only an operator can help
   */
  async run(signal: AbortSignal): Promise<void> {
    const { chain, cursor, pollMs = POLL_MS } = this.#options;
    try {
      await this.#persistently(() => chain.requireChain(signal), signal);
      this.#trail = await cursor.load();
      let ahead: Promise<RangeOutcome> | undefined;
      while (!signal.aborted) {
        const outcome: RangeOutcome = await (ahead ?? this.#next(this.#trail[0], signal));
        ahead = undefined;
        if (outcome === 'fork') {
          await this.#rewind(signal);
          continue;
        }
        const { blocks } = outcome;
        const last = blocks.at(-1);
        if (last === undefined) {
          await this.#heads.changed(this.#asked, pollMs, signal);
          continue;
        }
        if (blocks.length >= this.#range) ahead = this.#next(last, signal);
        // Looked at when its turn comes.
        ahead?.catch(() => undefined);
        this.#range = Math.min(this.#options.maxRange ?? MAX_RANGE, 2 * Math.max(1, blocks.length));
        await this.#deliver(blocks, signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** Blocks after a point, as many as count now; none if there are none. */
  #next(after: Point | undefined, signal: AbortSignal): Promise<RangeOutcome> {
    return this.#persistently(async () => {
      const { chain, filter, startBlock } = this.#options;
      const from = after === undefined ? startBlock : after.number + 1n;
      this.#asked = this.#heads.count;
      const header = await this.#newestThatCounts(signal);
      if (after !== undefined && header?.hash === after.hash) return { blocks: [] };
      const newest = header?.number ?? -1n;
      if (newest < from) return (await this.#isOnChain(after, newest, signal)) ? { blocks: [] } : 'fork';
      const to = from + BigInt(this.#range) - 1n;
      return readRange(chain, filter, after, from, to < newest ? to : newest, signal);
    }, signal);
  }

  /** Undefined if none does yet; without a hash where only its number is known. */
  async #newestThatCounts(
    signal: AbortSignal,
  ): Promise<{ readonly number: bigint; readonly hash?: Hex } | undefined> {
    const { chain, finality } = this.#options;
    if (finality === 'finalized') return chain.header('finalized', signal);
    const latest = await chain.latest(signal);
    const { confirmations } = finality;
    return confirmations === 1 ? latest : { number: latest.number - BigInt(confirmations - 1) };
  }

  /** With nothing new to read: an endpoint may lag behind what was handled, or stand on another chain of the same height. */
  async #isOnChain(after: Point | undefined, newest: bigint, signal: AbortSignal): Promise<boolean> {
    if (after === undefined) return true;
    const known = this.#trail.find(({ number }) => number <= newest);
    return known === undefined || (await this.#stands(known, signal));
  }

  async #stands({ number, hash }: Point, signal: AbortSignal): Promise<boolean> {
    return (await this.#options.chain.header(number, signal))?.hash === hash;
  }

  async #deliver(blocks: readonly ReadBlock[], signal: AbortSignal): Promise<void> {
    const { cursor } = this.#options;
    for (const block of blocks) {
      if (block.logs.length > 0) await this.#handle(block, signal);
      if (signal.aborted) return;
      this.#trail = extended(this.#trail, block);
      const mayWait = block.logs.length === 0 && block !== blocks.at(-1);
      if (!mayWait) await this.#persistently(() => cursor.save(this.#trail), signal);
    }
  }

  /** Whatever a handler's failure is, passing it by would lose its block. */
  async #handle(block: ReadBlock, signal: AbortSignal): Promise<void> {
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        await this.#options.handler(block, signal);
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.#warn('block-not-handled', error, block.number);
        await pause(pauseMs(this.#backoff, attempt), signal);
      }
    }
  }

  /** Back to the newest handled block that still stands. */
  async #rewind(signal: AbortSignal): Promise<void> {
    const { chain, cursor, startBlock, log, onReorganisation } = this.#options;
    const newest = this.#trail[0];
    if (newest === undefined) return;
    const standing = await this.#persistently(() => this.#newestStanding(signal), signal);
    const trail = standing === undefined ? [] : this.#trail.slice(this.#trail.indexOf(standing));
    if (standing === newest) return;
    const fromBlock = standing === undefined ? startBlock : standing.number + 1n;
    const range = { fromBlock, toBlock: newest.number };
    const logged = { fromBlock: Number(range.fromBlock), toBlock: Number(range.toBlock) };
    log('error', 'chain-reorganised', { chain: Number(chain.chainId), ...logged });
    onReorganisation?.({ chainId: chain.chainId, ...range });
    await this.#persistently(() => cursor.save(trail), signal);
    this.#trail = trail;
  }

  async #newestStanding(signal: AbortSignal): Promise<Point | undefined> {
    for (const point of this.#trail) {
      if (await this.#stands(point, signal)) return point;
    }
    return undefined;
  }

  #persistently<T>(task: () => Promise<T>, signal: AbortSignal): Promise<T> {
    return persistently(task, signal, (error) => this.#warn('chain-unavailable', error), this.#backoff);
  }

  #warn(event: string, error: unknown, block?: bigint): void {
    const { chain, log } = this.#options;
    const at = block === undefined ? {} : { fromBlock: Number(block) };
    log('warn', event, { chain: Number(chain.chainId), code: codeOf(error), ...at });
  }
}
