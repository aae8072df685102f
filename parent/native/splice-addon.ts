import { createRequire } from 'node:module';

declare const handleBrand: unique symbol;
/** Two connections of which each gets what the other brings. */
export type SpliceHandle = { readonly [handleBrand]: true };

/** What splice.c offers. A number in place of something else is minus errno. */
export interface SpliceAddon {
  /**
   * The descriptors remain the caller's, who leaves them alone.
   * @param onEnd at most once: 0 when either has ended and the other has everything of it, or minus errno
   */
  carry(a: number, b: number, onEnd: (status: number) => void): SpliceHandle | number;
  /** Bytes read from a and from b, bytes held, and for how many ms none has moved. */
  state(handle: SpliceHandle): readonly number[];
  /** The last state. The last use of the handle, once; what it held is dropped. */
  close(handle: SpliceHandle): readonly number[];
  /** How many large pipes are free. */
  freeLarge(): number;
}

/** @returns undefined if it was not built, or not for this machine and version: the parent carries bytes without it */
export function loadSpliceAddon(path: string): SpliceAddon | undefined {
  try {
    const addon: unknown = createRequire(import.meta.url)(path);
    return isSpliceAddon(addon) ? addon : undefined;
  } catch {
    return undefined;
  }
}

function isSpliceAddon(value: unknown): value is SpliceAddon {
  if (typeof value !== 'object' || value === null) return false;
  const functions = new Map<string, unknown>(Object.entries(value));
  return ['carry', 'state', 'close', 'freeLarge'].every((name) => typeof functions.get(name) === 'function');
}
