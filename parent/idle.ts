/**
 * Calls once when nothing has moved for so long.
 * @param restedMs since anything moved
 * @returns ends the watch
 */
export function whenIdle(idleMs: number, restedMs: () => number, idle: () => void): () => void {
  const watch = (): void => {
    const leftMs = idleMs - restedMs();
    if (leftMs <= 0) idle();
    else timer = setTimeout(watch, Math.ceil(leftMs));
  };
  let timer = setTimeout(watch, idleMs);
  return () => clearTimeout(timer);
}
