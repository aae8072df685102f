import { isPassing } from '../../gateway/adapter/backoff.ts';
import { KmsError } from '../../shared/errors.ts';

/** How long a client waits for others, and whom it tells. */
export interface Waiting {
  /** For each single thing that is waited for. */
  readonly timeoutMs: number;
  /** Between two questions. */
  readonly pollMs: number;
  /** @param total 0 when unknown */
  readonly onProgress: (phase: string, done: number, total: number) => void;
  /** Nobody waits any more; what was asked for goes on. */
  readonly signal?: AbortSignal | undefined;
}

/** For what takes a moment: nobody wants to read about it. */
export function quietly(waiting: Waiting): Waiting {
  return { ...waiting, onProgress: () => {} };
}

/** What is waited for, and what to look at when it does not come. */
export interface Awaited {
  readonly what: string;
  readonly look: string;
}

/**
 * Asks until there is an answer. What fails for a passing reason is asked again.
 * @throws {KmsError} TIMEOUT that says what was waited for; what the question throws for another reason
 */
export async function waitFor<T>(
  { timeoutMs, pollMs, onProgress, signal }: Waiting,
  awaited: Awaited,
  question: () => Promise<T | undefined>,
): Promise<T> {
  onProgress(awaited.what, 0, 0);
  const endMs = performance.now() + timeoutMs;
  let cause: unknown;
  do {
    if (signal?.aborted) throw new KmsError('TIMEOUT', `given up: ${awaited.what}`);
    try {
      const found = await within(endMs - performance.now(), question());
      if (found !== undefined) return found;
    } catch (error) {
      if (!isPassing(error)) throw error;
      cause = error;
    }
    await pause(Math.min(pollMs, Math.max(0, endMs - performance.now())));
  } while (performance.now() < endMs);
  throw timedOut(timeoutMs, awaited, cause);
}

export function timedOut(timeoutMs: number, { what, look }: Awaited, cause?: unknown): KmsError {
  const reason = cause instanceof KmsError ? ` (${cause.message})` : '';
  return new KmsError('TIMEOUT', `waited ${timeoutMs / 1000} s: ${what}${reason}; ${look}`, { cause });
}

/** @throws {KmsError} TIMEOUT when the answer takes longer: what hangs is given up */
async function within<T>(ms: number, answer: Promise<T>): Promise<T> {
  const { promise: over, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(reject, Math.max(0, ms), new KmsError('TIMEOUT', 'no answer came'));
  try {
    return await Promise.race([answer, over]);
  } finally {
    clearTimeout(timer);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
