import { createHash } from 'node:crypto';
import type { Rng } from '../../shared/primitives.ts';

/** Deterministic byte stream of a seed: SHA-256 in counter mode. For tests only. */
export function seededRng(seed: string): Rng {
  let counter = 0;
  let pool = new Uint8Array(0);
  return (sizeBytes) => {
    const out = new Uint8Array(sizeBytes);
    let filled = 0;
    while (filled < sizeBytes) {
      if (pool.length === 0)
        pool = new Uint8Array(
          createHash('shake128', { outputLength: 4096 }).update(`${seed}/${counter++}`).digest(),
        );
      const take = Math.min(pool.length, sizeBytes - filled);
      out.set(pool.subarray(0, take), filled);
      pool = pool.subarray(take);
      filled += take;
    }
    return out;
  };
}

/** Uniform number in [0, 1). */
export function seededNumber(rng: Rng): number {
  const bytes = rng(6);
  return bytes.reduce((value, byte) => value * 256 + byte, 0) / 2 ** 48;
}
