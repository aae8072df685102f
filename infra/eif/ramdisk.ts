import { KmsError } from '../../shared/errors.ts';
import { toHex } from '../../shared/wire/bytes.ts';

/**
 * How a ramdisk is packed. Ours are plain archives (cpio.ts): what is measured is then the files themselves, and no
 * compressor's version takes part in a measurement. The others are recognised only.
 */
export type RamdiskForm = 'cpio' | 'gzip' | 'xz' | 'zstd' | 'lz4';

const beginnings: readonly (readonly [RamdiskForm, string])[] = [
  ['cpio', '303730373031'],
  ['gzip', '1f8b'],
  ['xz', 'fd377a585a00'],
  ['zstd', '28b52ffd'],
  ['lz4', '02214c18'],
];

/** @throws {KmsError} BAD_ENCODING for anything that the kernel would not unpack */
export function formOf(ramdisk: Uint8Array): RamdiskForm {
  const start = toHex(ramdisk.subarray(0, 6));
  const found = beginnings.find(([, beginning]) => start.startsWith(beginning));
  if (found === undefined) {
    throw new KmsError('BAD_ENCODING', `a ramdisk begins with ${start}, which is no archive`);
  }
  return found[0];
}
