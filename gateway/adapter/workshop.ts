import { codeOf } from '../../shared/errors.ts';
import { type Backoff, pauseMs } from './backoff.ts';
import type { ChainLog } from './log.ts';
import { Turns } from './turns.ts';
import type { WorkItem, WorkList } from './work-list.ts';

/**
 * What came of an attempt. `later`: it is tried again after a pause, or when somebody rings one of these bells. `never`: nothing can
 * be done any more, and the log says so.
 */
export type Attempt = 'done' | 'never' | { readonly later: readonly string[] };

export interface WorkshopOptions {
  readonly list: WorkList;
  /** Idempotent: it may be killed at any step and tried again. What it throws is tried again too. */
  readonly attempt: (item: WorkItem, tries: number) => Promise<Attempt>;
  readonly log: ChainLog;
  readonly signal: AbortSignal;
  readonly atOnce?: number;
  readonly backoff?: Backoff;
  /** Then it is given up. */
  readonly maxTries?: number;
}

const AT_ONCE = 16;
/** A week of the longest pause. */
const MAX_TRIES = 20_000;
const BACKOFF: Backoff = { firstMs: 500, longestMs: 30_000 };

/** Does the work of a list until each piece is done, several at once; it goes on after a restart. */
export class Workshop {
  readonly #o: WorkshopOptions;
  readonly #turns: Turns;
  /** What wakes those that wait. */
  readonly #bells = new Map<string, Set<() => void>>();

  constructor(options: WorkshopOptions) {
    this.#o = options;
    this.#turns = new Turns(options.atOnce ?? AT_ONCE);
  }

  /** Takes up what an earlier process left, in the order of the keys. */
  start(): void {
    for (const key of this.#o.list.keys) void this.#drive(key);
  }

  /** Taken on, for good, when the promise resolves. @throws what WorkList.add throws */
  async add(item: WorkItem): Promise<void> {
    const { list, signal } = this.#o;
    if (list.has(item.key) || signal.aborted) return;
    await list.add(item);
    void this.#drive(item.key);
  }

  /** What waits for this is tried at once. */
  ring(bell: string): void {
    for (const wake of this.#bells.get(bell) ?? []) wake();
  }

  async #drive(key: string): Promise<void> {
    const { signal, list, log } = this.#o;
    for (let tries = 1; !signal.aborted; tries++) {
      const attempt = await this.#turns.run(() => this.#try(key, tries));
      if (signal.aborted) return;
      if (typeof attempt === 'object' && tries < (this.#o.maxTries ?? MAX_TRIES)) {
        await this.#wait(attempt.later, tries);
        continue;
      }
      if (attempt !== 'done') log('error', 'work-given-up', { item: key });
      try {
        await list.remove(key);
        return;
      } catch (error) {
        log('error', 'work-not-removed', { item: key, code: codeOf(error) });
        await this.#wait([], tries);
      }
    }
  }

  async #try(key: string, tries: number): Promise<Attempt> {
    const { signal, list, attempt, log } = this.#o;
    if (signal.aborted) return { later: [] };
    try {
      const body = await list.body(key);
      return body === undefined ? 'done' : await attempt({ key, body }, tries);
    } catch (error) {
      if (!signal.aborted) log('warn', 'work-failed', { item: key, code: codeOf(error) });
      return { later: [] };
    }
  }

  async #wait(bells: readonly string[], tries: number): Promise<void> {
    const { signal, backoff = BACKOFF } = this.#o;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', wake);
        for (const bell of bells) this.#unhang(bell, wake);
        resolve();
      };
      const timer = setTimeout(wake, pauseMs(backoff, tries));
      signal.addEventListener('abort', wake);
      for (const bell of bells) this.#bells.set(bell, (this.#bells.get(bell) ?? new Set()).add(wake));
    });
  }

  #unhang(bell: string, wake: () => void): void {
    const waiting = this.#bells.get(bell);
    waiting?.delete(wake);
    if (waiting?.size === 0) this.#bells.delete(bell);
  }
}
