import { createHash } from 'node:crypto';

const LONGEST_IN_FULL_BYTES = 160;

/** Bytes as they stand in frozen.json: hex, or size and SHA-256 when they are long. */
export function frozenForm(bytes: Uint8Array): string {
  if (bytes.length <= LONGEST_IN_FULL_BYTES) return Buffer.from(bytes).toString('hex');
  return `${bytes.length} bytes, sha256 ${createHash('sha256').update(bytes).digest('hex')}`;
}
