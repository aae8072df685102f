import { setTimeout as sleep } from 'node:timers/promises';
import { KmsError } from '../../shared/errors.ts';

/** How long a request may take, with all its attempts. */
export interface Patience {
  readonly totalMs: number;
  readonly attemptMs: number;
}

/** What an error says about the next attempt. */
export type Verdict =
  | 'later' // throttled, failing, unreachable: after a pause
  | 'now' // something was put right meanwhile
  | 'never';

/** Time and chance; tests replace them. */
export interface Pace {
  /** Monotonic. */
  readonly nowMs: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  /** In [0, 1). */
  readonly jitter: () => number;
}

/** Chance here spreads load; nothing secret hangs on it. */
export const realPace: Pace = {
  nowMs: () => performance.now(),
  sleep: (ms) => sleep(ms),
  jitter: () => Math.random(),
};

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;

/**
 * Repeats an idempotent request until it succeeds, is refused, or its time is over.
 * @param attempt gets a signal that fires when the attempt has taken too long
 * @param judge must not throw
 * @throws the error of an attempt judged `never`; {KmsError} KMS_UNAVAILABLE when the time is over
 */
export async function withPatience<T>(
  what: string,
  patience: Patience,
  pace: Pace,
  attempt: (signal: AbortSignal) => Promise<T>,
  judge: (error: unknown) => Promise<Verdict>,
): Promise<T> {
  const endMs = pace.nowMs() + patience.totalMs;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    const leftMs = Math.max(1, Math.min(patience.attemptMs, endMs - pace.nowMs()));
    let failure: unknown;
    try {
      return await bounded(attempt, AbortSignal.timeout(Math.ceil(leftMs)));
    } catch (error) {
      failure = error;
    }
    const verdict = await judge(failure);
    if (verdict === 'never') throw failure;
    const waitMs = verdict === 'now' ? 0 : pauseMs * (0.5 + pace.jitter() / 2);
    if (pace.nowMs() + waitMs >= endMs) {
      throw new KmsError('KMS_UNAVAILABLE', `${what} has not been answered in time`, { cause: failure });
    }
    if (waitMs > 0) await pace.sleep(waitMs);
  }
}

/** What does not heed the signal, as a provider of credentials that hangs, is left behind. */
async function bounded<T>(attempt: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const late = (): void => reject(new KmsError('TIMEOUT', 'an attempt took too long'));
  signal.addEventListener('abort', late, { once: true });
  try {
    return await Promise.race([attempt(signal), promise]);
  } finally {
    signal.removeEventListener('abort', late);
  }
}
