import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf, type ErrorCode } from '../../shared/errors.ts';

/** Waiting times between attempts: doubled each time, up to the longest. */
export interface Backoff {
  readonly firstMs: number;
  readonly longestMs: number;
}

export const CHAIN_BACKOFF: Backoff = { firstMs: 250, longestMs: 10_000 };

/** What a later attempt may cure: the chain, the network or a store is down, or an endpoint that is being repaired. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  'UNAVAILABLE',
  'TIMEOUT',
  'BUSY',
  'BAD_ENCODING',
  'STORE_FAILED',
]);

export function isPassing(error: unknown): boolean {
  return PASSING.has(codeOf(error));
}

/** Pause before attempt number `attempt`, from 1. */
export function pauseMs({ firstMs, longestMs }: Backoff, attempt: number): number {
  return Math.min(longestMs, firstMs * 2 ** Math.min(attempt - 1, 30));
}

/** Resolves early, without throwing, when the signal is given. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}

/**
 * Repeats what fails for a passing reason until it succeeds, for as long as the signal lets it: a chain may be down for hours.
 * @throws what the task throws for another reason, and its last error once the signal is given
 */
export async function persistently<T>(
  task: () => Promise<T>,
  signal: AbortSignal,
  onFailure: (error: unknown, attempt: number) => void,
  backoff: Backoff = CHAIN_BACKOFF,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await task();
    } catch (error) {
      if (!isPassing(error) || signal.aborted) throw error;
      onFailure(error, attempt);
      await pause(pauseMs(backoff, attempt), signal);
      if (signal.aborted) throw error;
    }
  }
}
