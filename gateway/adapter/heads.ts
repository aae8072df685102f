import { type Backoff, CHAIN_BACKOFF, pause, pauseMs } from './backoff.ts';
import type { ChainConfig } from './config-file.ts';
import { headSubscription } from './head-subscription.ts';
import type { ChainLog } from './log.ts';

/**
 * Says when to ask a chain for its newest block again. Only a hint: what the chain then answers is all that counts, and whoever waits
 * here asks without a hint too, later.
 */
export interface Heads {
  /** To be read before the chain is asked: a block that comes afterwards makes it another number. */
  readonly count: number;
  /**
   * Resolves as soon as count is not `since`, after a while, or when the signal is given; never throws.
   * @param pollMs the while, where nobody announces blocks
   */
  changed(since: number, pollMs: number, signal: AbortSignal): Promise<void>;
}

/** Of a chain whose blocks nobody announces. */
export const polledHeads: Heads = { count: 0, changed: (_, pollMs, signal) => pause(pollMs, signal) };

export interface AnnouncedHeadsOptions {
  readonly chainId: bigint;
  /** ws:// or wss:// */
  readonly url: string;
  readonly log: ChainLog;
  /** Ends it, and nothing else does. */
  readonly signal: AbortSignal;
  /** Between connections. */
  readonly backoff?: Backoff;
  readonly answerMs?: number;
  readonly pingMs?: number;
  /** The longest between two questions to the chain while nothing is announced: an endpoint may have stopped telling. */
  readonly silenceMs?: number;
}

const SILENCE_MS = 2_000;
/** Mostly the question after an announcement finds its block: the next one is not in a hurry. */
const AGAIN_MS = 50;

/**
 * Of a chain whose endpoint announces blocks over WebSocket. After an announcement it is asked again soon, and then ever more seldom:
 * a block may be announced before it can be asked for, or become final a little later. Polled for as long as there is no subscription.
 */
export class AnnouncedHeads implements Heads {
  readonly #o: AnnouncedHeadsOptions;
  readonly #waiting = new Set<() => void>();
  #count = 0;
  /** When the newest notice came; undefined without a subscription. */
  #noticedMs: number | undefined;

  constructor(options: AnnouncedHeadsOptions) {
    this.#o = options;
    void this.#run();
  }

  get count(): number {
    return this.#count;
  }

  changed(since: number, pollMs: number, signal: AbortSignal): Promise<void> {
    if (since !== this.#count || signal.aborted) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', wake);
      this.#waiting.delete(wake);
      resolve();
    };
    const timer = setTimeout(wake, Math.max(pollMs, this.#quietMs()));
    signal.addEventListener('abort', wake);
    this.#waiting.add(wake);
    return promise;
  }

  async #run(): Promise<void> {
    const { chainId, log, signal, backoff = CHAIN_BACKOFF } = this.#o;
    let sinceMs: number | undefined;
    const onNotice = (): void => {
      this.#noticedMs = performance.now();
      sinceMs ??= this.#noticedMs;
      this.#tell();
    };
    for (let attempt = 1; !signal.aborted; attempt++) {
      sinceMs = undefined;
      await headSubscription({ ...this.#o, onNotice });
      if (sinceMs !== undefined) {
        // One that is taken and ended at once, again and again, is no better than none.
        if (performance.now() - sinceMs >= backoff.longestMs) attempt = 1;
        this.#noticedMs = undefined;
        // Whoever waits for a notice polls from now on.
        this.#tell();
      }
      // Said once, until a subscription has lasted.
      if (attempt === 1 && !signal.aborted) log('warn', 'heads-not-announced', { chain: Number(chainId) });
      await pause(pauseMs(backoff, attempt), signal);
    }
  }

  /** As long as since the newest notice, from the shortest to the longest. */
  #quietMs(): number {
    const { silenceMs = SILENCE_MS } = this.#o;
    if (this.#noticedMs === undefined) return 0;
    return Math.min(silenceMs, Math.max(AGAIN_MS, performance.now() - this.#noticedMs));
  }

  #tell(): void {
    this.#count++;
    for (const wake of [...this.#waiting]) wake();
  }
}

/** One for each chain of a process, for all that wait for its blocks. */
export function headsOf(
  { chainId, headsUrl }: Pick<ChainConfig, 'chainId' | 'headsUrl'>,
  log: ChainLog,
  signal: AbortSignal,
): Heads {
  return headsUrl === undefined ? polledHeads : new AnnouncedHeads({ chainId, url: headsUrl, log, signal });
}
