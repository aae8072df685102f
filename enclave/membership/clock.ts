import { setTimeout as sleep } from 'node:timers/promises';
import { parseUnverifiedDocument } from '../../shared/attestation/document.ts';
import { codeOf, KmsError } from '../../shared/errors.ts';
import type { Log } from '../../shared/log.ts';
import type { Nsm } from '../nsm/nsm.ts';

export interface ClockOptions {
  readonly nsm: Nsm;
  readonly log: Log;
  /** Of this machine, from any origin. */
  readonly monotonicMs?: () => number;
}

const RENEW_MS = 60_000;
/** A stamp that took longer to come says too little about now. */
const MAX_ANSWER_MS = 1_000;
const RETRY_MS = 200;
const ATTEMPTS = 50;

/**
 * Enclave time: the stamp of an own document plus the monotonic time since it was asked for. The security module is the one
 * source; the parent and the system clock give none. Never steps back.
 */
export class EnclaveClock {
  readonly #nsm: Nsm;
  readonly #log: Log;
  readonly #monotonicMs: () => number;
  /** Enclave time at monotonic zero. */
  #offsetMs = Number.NEGATIVE_INFINITY;
  #lastMs = 0;
  #renewal: NodeJS.Timeout | undefined;

  private constructor({ nsm, log, monotonicMs }: ClockOptions) {
    this.#nsm = nsm;
    this.#log = log;
    this.#monotonicMs = monotonicMs ?? (() => performance.now());
  }

  /** Resolves with the first good stamp. @throws {KmsError} UNAVAILABLE if the security module gives none in time */
  static async start(options: ClockOptions): Promise<EnclaveClock> {
    const clock = new EnclaveClock(options);
    for (let attempt = 0; !(await clock.renew()); attempt++) {
      if (attempt === ATTEMPTS) {
        throw new KmsError('UNAVAILABLE', 'the security module does not tell the time quickly enough');
      }
      await sleep(RETRY_MS);
    }
    clock.#renewal = setInterval(() => void clock.renew(), RENEW_MS).unref();
    return clock;
  }

  /** Unix. */
  nowMs(): number {
    this.#lastMs = Math.max(this.#lastMs, Math.floor(this.#offsetMs + this.#monotonicMs()));
    return this.#lastMs;
  }

  /** Asks for a new stamp. @returns false if none came, or too slowly: the former one goes on */
  async renew(): Promise<boolean> {
    const askedMs = this.#monotonicMs();
    try {
      const document = await this.#nsm.attest({});
      if (this.#monotonicMs() - askedMs > MAX_ANSWER_MS) throw new KmsError('TIMEOUT', 'the stamp is late');
      this.#offsetMs = parseUnverifiedDocument(document).timestampMs - askedMs;
      return true;
    } catch (error) {
      this.#log('warn', 'clock-not-renewed', { code: codeOf(error) });
      return false;
    }
  }

  stop(): void {
    clearInterval(this.#renewal);
  }
}
