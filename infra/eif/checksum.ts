import { crc32 } from 'node:zlib';
import { checked } from './format.ts';

/** CRC-32 (IEEE) of a whole file but for the field that holds it. */
export function checksum(bytes: Uint8Array): number {
  return checked(bytes).reduce((sum, range) => crc32(range, sum), 0);
}
