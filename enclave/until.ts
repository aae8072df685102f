/**
 * Resolves when the condition holds, after the given time, or when the caller has gone.
 * @param watchers called by whoever may have made it true
 */
export function until(
  holds: () => boolean,
  watchers: Set<() => void>,
  forMs: number,
  signal: AbortSignal,
): Promise<void> {
  if (holds() || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const check = (): void => {
      if (holds()) end();
    };
    const end = (): void => {
      clearTimeout(timer);
      watchers.delete(check);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, forMs);
    watchers.add(check);
    signal.addEventListener('abort', end);
  });
}
