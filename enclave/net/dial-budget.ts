import { setTimeout as sleep } from 'node:timers/promises';
import { Bucket } from './bucket.ts';

/** In milliseconds of one core, see HandshakeCosts. */
export interface DialLimits {
  /** A dial that somebody answers: a TLS handshake, a certificate, perhaps a document. */
  readonly answeredMs: number;
  /** A dial that finds nobody. */
  readonly unansweredMs: number;
  /** What all dials together may use of one core for as long as it takes, and at once after a quiet time. */
  readonly share: number;
  readonly burstMs: number;
}

export const DIAL_LIMITS: DialLimits = { answeredMs: 10, unansweredMs: 0.5, share: 0.012, burstMs: 1_000 };

const POLL_MS = 50;

/**
 * How much of a core this node's own dialling may use: the parent decides who answers, and may answer for every peer itself, or
 * cut every stream as soon as it is up. Dials wait for their turn in the order in which they came.
 */
export class DialBudget {
  readonly #limits: DialLimits;
  readonly #monotonicMs: () => number;
  readonly #pause: (ms: number) => Promise<unknown>;
  readonly #bucket: Bucket;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(
    limits: DialLimits = DIAL_LIMITS,
    monotonicMs: () => number = () => performance.now(),
    pause: (ms: number) => Promise<unknown> = (ms) => sleep(ms, undefined, { ref: false }),
  ) {
    this.#limits = limits;
    this.#monotonicMs = monotonicMs;
    this.#pause = pause;
    this.#bucket = new Bucket(limits.burstMs, limits.share, monotonicMs());
  }

  /** Resolves when a dial may begin; it is paid for as if it were answered. */
  begin(): Promise<void> {
    const turn = this.#turn.then(async () => {
      const { answeredMs } = this.#limits;
      while (!this.#bucket.has(answeredMs, this.#monotonicMs())) await this.#pause(POLL_MS);
      this.#bucket.draw(answeredMs, this.#monotonicMs());
    });
    this.#turn = turn;
    return turn;
  }

  /** Nobody had said a byte when the dial ended. */
  unanswered(): void {
    const { answeredMs, unansweredMs } = this.#limits;
    this.#bucket.draw(unansweredMs - answeredMs, this.#monotonicMs());
  }
}
