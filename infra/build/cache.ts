import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/**
 * Where what takes long to fetch or build stays between builds, outside the repository: $KMS_CACHE, else
 * ~/.cache/threshold-kms. Everything in it can be deleted.
 */
export function cacheDirectory(): string {
  const { KMS_CACHE: given, XDG_CACHE_HOME: home } = process.env;
  return given ? resolve(given) : join(home || join(homedir(), '.cache'), 'threshold-kms');
}

/** The name of whatever follows from these inputs alone: 32 hex digits. */
export function cacheKey(...inputs: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const input of inputs) hash.update(createHash('sha256').update(input).digest());
  return hash.digest('hex').slice(0, 32);
}
