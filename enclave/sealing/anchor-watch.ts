import { codeOf, KmsError } from '../../shared/errors.ts';
import type { Log } from '../../shared/log.ts';
import type { Anchor } from '../../shared/sealing/anchor.ts';
import type { Course } from './course.ts';

export interface AnchorWatchOptions {
  readonly anchor: Anchor;
  readonly course: Course;
  /** Enclave time. */
  readonly nowMs: () => number;
  readonly log: Log;
  /** How often the chain is asked without a reason. */
  readonly pollMs?: number | undefined;
  /** isSettled may have changed. */
  readonly onChange: () => void;
  /** The node was turned back. */
  readonly onOld: (error: KmsError) => void;
}

/** For so long a node works on although its newest states are not known to be anchored. */
export const ANCHOR_GRACE_MS = 60 * 60_000;
const POLL_MS = { settled: 30_000, first: 2_000, unsettled: 12_000 };
/** Until a connector's anchor is there where blocks are final at once; elsewhere it takes minutes. */
const FIRST_LOOKS = 15;

/**
 * Sees to it that what this node does is anchored soon: whoever could turn back a node and enough of its peers, and has it anchor
 * nothing, has a node that stops working within the hour, in this life or a later one (decision 0005, "Anchor").
 */
export class AnchorWatch {
  readonly #options: AnchorWatchOptions;
  #isWell = true;
  #isClosed = false;
  /** That have found nothing settled, one after the other. */
  #looks = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: AnchorWatchOptions) {
    this.#options = options;
  }

  /** What this node has done is anchored, or has been done just now. */
  get isSettled(): boolean {
    const { course, nowMs } = this.#options;
    return !course.isFull && nowMs() - course.settledMs <= ANCHOR_GRACE_MS;
  }

  /** Begins to ask what is anchored. */
  start(): void {
    if (!this.#isClosed) void this.#look().finally(() => this.#again());
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #again(): void {
    if (this.#isClosed) return;
    const unsettled = this.#looks < FIRST_LOOKS ? POLL_MS.first : POLL_MS.unsettled;
    const { pollMs = this.isSettled ? POLL_MS.settled : unsettled } = this.#options;
    this.#looks = this.isSettled ? 0 : this.#looks + 1;
    this.#timer = setTimeout(() => this.start(), pollMs).unref();
  }

  async #look(): Promise<void> {
    const { anchor, course, nowMs, log, onChange, onOld } = this.#options;
    const askedMs = nowMs();
    try {
      const anchored = await anchor.newest();
      if (this.#isClosed) return;
      if (!this.#isWell) log('info', 'anchor-known');
      this.#isWell = true;
      if (course.against(anchored, askedMs) === 'old') {
        this.close();
        onOld(
          new KmsError(
            'STORE_FAILED',
            `version ${anchored.version} is anchored, but not as this process has it`,
          ),
        );
      }
    } catch (error) {
      // Once, not at every turn: it may last.
      if (this.#isWell) log('warn', 'anchor-unknown', { code: codeOf(error) });
      this.#isWell = false;
    }
    if (!this.#isClosed) onChange();
  }
}
