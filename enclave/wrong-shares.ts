import type { PartyId } from '../shared/ids.ts';
import type { Log } from '../shared/log.ts';

/** A member that goes on is named again after this. */
const AGAIN_MS = 3_600_000;

/**
 * Names members that signed wrong shares, in the log: the protocols correct them without anybody's help, and operators have to know.
 * A node's own word, no proof for others.
 */
export class WrongShares {
  readonly #log: Log;
  readonly #nowMs: () => number;
  readonly #namedMs = new Map<PartyId, number>();

  constructor(log: Log, nowMs: () => number) {
    [this.#log, this.#nowMs] = [log, nowMs];
  }

  /** @param parties whose signed shares are off the others' polynomial */
  seen(parties: readonly PartyId[]): void {
    for (const party of parties) {
      const namedMs = this.#namedMs.get(party);
      if (namedMs !== undefined && this.#nowMs() - namedMs < AGAIN_MS) continue;
      this.#namedMs.set(party, this.#nowMs());
      this.#log('warn', 'peer-wrong-share', { party });
    }
  }
}
