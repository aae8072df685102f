import { codeOf, KmsError } from '../../shared/errors.ts';
import type { Log } from '../../shared/log.ts';
import { type Anchor, type AnchoredState, heldAgainst } from '../../shared/sealing/anchor.ts';
import { decode, encode, struct, u8, u64 } from '../../shared/wire/codec.ts';
import type { SealedStore } from '../store/sealed-store.ts';
import type { StateVersion } from '../store/versioned-store.ts';

export interface AnchorWatchOptions {
  /** Tier 1. */
  readonly store: SealedStore;
  readonly anchor: Anchor;
  /** The newest state of this node that has taken effect in this life. */
  readonly inEffect: () => StateVersion | undefined;
  /** Enclave time. */
  readonly nowMs: () => number;
  readonly log: Log;
  /** isSettled may have changed. */
  readonly onChange: () => void;
  /** A later state of this node is anchored than it has, or another one. */
  readonly onOld: (error: KmsError) => void;
}

const RECORD = 'anchor/settled';
const FORMAT = 1;
const settledCodec = struct({ format: u8, atMs: u64 });
/** For so long a node works on although its newest state is not anchored yet. */
export const ANCHOR_GRACE_MS = 60 * 60_000;
/** What is written down may lag behind by this: a later life has so much less time. */
const LAG_MS = 10 * 60_000;
const POLL_MS = { settled: 30_000, unsettled: 2_000 };

/**
 * Sees to it that what this node does is anchored soon: whoever could turn back a node and enough of its peers, and has it anchor
 * nothing, has a node that stops working within the hour. What counts is when all that was in effect was last seen anchored; that
 * is durable in tier 1, and turning it back leaves less time, not more (decision 0005, "Anchor").
 */
export class AnchorWatch {
  readonly #options: AnchorWatchOptions;
  /** Enclave time at which everything in effect was anchored. */
  #settledMs: number;
  #durableMs: number;
  #isWell = true;
  #isClosed = false;
  #timer: NodeJS.Timeout | undefined;

  private constructor(options: AnchorWatchOptions, settledMs: number) {
    this.#options = options;
    [this.#settledMs, this.#durableMs] = [settledMs, settledMs];
  }

  /** What a new node writes into tier 1: it has done nothing that could be anchored. */
  static founding(nowMs: number): readonly [name: string, record: Uint8Array] {
    return [RECORD, encode(settledCodec, { format: FORMAT, atMs: BigInt(Math.floor(nowMs)) })];
  }

  /** Without a record of earlier lives it counts as never settled. @throws {KmsError} STORE_FAILED */
  static async open(options: AnchorWatchOptions): Promise<AnchorWatch> {
    const record = await options.store.get(RECORD);
    if (record === undefined) return new AnchorWatch(options, 0);
    const { format, atMs } = decode(settledCodec, record);
    if (format !== FORMAT)
      throw new KmsError('STORE_FAILED', 'the record of the anchor has an unknown format');
    return new AnchorWatch(options, Number(atMs));
  }

  /** What this node has done is anchored, or has been done just now. */
  get isSettled(): boolean {
    return this.#options.nowMs() - this.#settledMs <= ANCHOR_GRACE_MS;
  }

  start(): void {
    if (!this.#isClosed) void this.#look().finally(() => this.#again());
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #again(): void {
    if (this.#isClosed) return;
    const waitMs = this.isSettled ? POLL_MS.settled : POLL_MS.unsettled;
    this.#timer = setTimeout(() => this.start(), waitMs).unref();
  }

  async #look(): Promise<void> {
    const { anchor, nowMs, log, onChange } = this.#options;
    const askedMs = nowMs();
    try {
      await this.#judge(await anchor.newest(), askedMs);
      if (!this.#isWell) log('info', 'anchor-known');
      this.#isWell = true;
    } catch (error) {
      // Once, not at every turn: it may last.
      if (this.#isWell) log('warn', 'anchor-unknown', { code: codeOf(error) });
      this.#isWell = false;
    }
    onChange();
  }

  async #judge(anchored: AnchoredState, askedMs: number): Promise<void> {
    const { inEffect, onOld } = this.#options;
    // Read after the anchor: what is in effect now is never behind what was anchored before.
    const state = inEffect();
    const verdict = state && heldAgainst(state, anchored);
    if (verdict === 'old') {
      this.close();
      const { version } = anchored;
      onOld(new KmsError('STORE_FAILED', `version ${version} is anchored, and not as this process had it`));
    } else if (verdict === 'anchored' || !anchored.isOpen) {
      this.#settledMs = Math.max(askedMs, this.#settledMs);
      await this.#remember();
    }
  }

  async #remember(): Promise<void> {
    if (this.#settledMs - this.#durableMs < LAG_MS) return;
    const [name, record] = AnchorWatch.founding(this.#settledMs);
    await this.#options.store.put(name, record);
    this.#durableMs = this.#settledMs;
  }
}
