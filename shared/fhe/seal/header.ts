import { KmsError } from '../../errors.ts';
import type { Writer } from '../../wire/codec.ts';
import type { Cursor } from './cursor.ts';

/**
 * SEAL 4.1 object header: magic 0xA15E, header size 16, version 4.1, compression, u16 zero, u64 total size.
 */
export const HEADER_BYTES = 16;

export type Compression = 'none' | 'zlib' | 'zstd';
const compressions: readonly Compression[] = ['none', 'zlib', 'zstd'];

export interface Header {
  readonly compression: Compression;
  /** Of the whole object, header included, as stored. */
  readonly sizeBytes: number;
}

/** @throws {KmsError} BAD_ENCODING for anything but a SEAL 4.1 header */
export function readHeader(from: Cursor): Header {
  const fixed = from.raw(5);
  if (fixed[0] !== 0x5e || fixed[1] !== 0xa1 || fixed[2] !== HEADER_BYTES) {
    throw new KmsError('BAD_ENCODING', 'not a SEAL object');
  }
  if (fixed[3] !== 4 || fixed[4] !== 1) {
    throw new KmsError(
      'BAD_ENCODING',
      `SEAL object of version ${fixed[3]}.${fixed[4]}; this service reads 4.1`,
    );
  }
  const compression = compressions[from.u8()];
  if (compression === undefined) throw new KmsError('BAD_ENCODING', 'SEAL object with unknown compression');
  if (from.u8() !== 0 || from.u8() !== 0)
    throw new KmsError('BAD_ENCODING', 'SEAL header with reserved bytes set');
  return { compression, sizeBytes: from.u64() };
}

/**
 * Header of an uncompressed object whose size is fixed by what it must contain.
 * @throws {KmsError} BAD_ENCODING
 */
export function expectHeader(from: Cursor, sizeBytes: number): void {
  const header = readHeader(from);
  if (header.compression !== 'none') {
    throw new KmsError(
      'BAD_ENCODING',
      `SEAL object is ${header.compression}-compressed: save it with ComprModeType.none`,
    );
  }
  if (header.sizeBytes !== sizeBytes) {
    throw new KmsError(
      'BAD_ENCODING',
      `SEAL object of ${header.sizeBytes} bytes where ${sizeBytes} are expected`,
    );
  }
}

/** Header of an uncompressed object of `sizeBytes` bytes, header included. */
export function writeHeader(out: Writer, sizeBytes: number): void {
  out.raw(Uint8Array.of(0x5e, 0xa1, HEADER_BYTES, 4, 1, 0, 0, 0));
  writeU64(out, sizeBytes);
}

export function writeU64(out: Writer, value: number): void {
  const field = new Uint8Array(8);
  new DataView(field.buffer).setBigUint64(0, BigInt(value), true);
  out.raw(field);
}
