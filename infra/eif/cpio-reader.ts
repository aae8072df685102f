import { KmsError } from '../../shared/errors.ts';
import {
  aligned,
  bodyStart,
  CPIO_BLOCK_BYTES,
  CPIO_HEADER_BYTES,
  type CpioEntry,
  checkCpio,
  cpioHeader,
  fileTypes,
  MAX_CPIO_BYTES,
  MAX_CPIO_ENTRIES,
  TRAILER,
  trailerHeader,
} from './cpio.ts';

const MODE_BITS = 0o7777;

/**
 * Reads exactly what writeCpio() writes: any other owner, time, number, order or padding is refused, so that the list of
 * entries is all there is to know of an archive. Contents are views of `bytes`.
 * @throws {KmsError} BAD_ENCODING, TOO_LARGE
 */
export function readCpio(bytes: Uint8Array): readonly CpioEntry[] {
  if (bytes.length > MAX_CPIO_BYTES) {
    throw new KmsError('TOO_LARGE', `the archive has ${bytes.length} bytes; at most ${MAX_CPIO_BYTES}`);
  }
  const entries: CpioEntry[] = [];
  for (let at = 0; ; ) {
    const { head, name, body, end } = readItem(bytes, at);
    if (name === TRAILER) {
      if (head !== trailerHeader()) throw bad('its trailer is not the usual one');
      requireEnd(bytes, end);
      break;
    }
    if (entries.length === MAX_CPIO_ENTRIES) {
      throw new KmsError('TOO_LARGE', `the archive has more than ${MAX_CPIO_ENTRIES} entries`);
    }
    const entry = entryOf(head, name, body);
    entries.push(entry);
    if (cpioHeader(entry, entries.length) !== head) {
      throw bad(`the header of ${JSON.stringify(name.slice(0, 80))} is not the one this entry has`);
    }
    at = end;
  }
  try {
    checkCpio(entries);
  } catch (cause) {
    throw new KmsError('BAD_ENCODING', cause instanceof Error ? cause.message : String(cause), { cause });
  }
  return entries;
}

interface Item {
  /** The header's text. */
  readonly head: string;
  readonly name: string;
  readonly body: Uint8Array;
  readonly end: number;
}

function readItem(bytes: Uint8Array, at: number): Item {
  const head = textOf(bytes, at, CPIO_HEADER_BYTES);
  if (!/^070701[0-9A-F]{104}$/.test(head)) throw bad('a header is not of the new ASCII format');
  const nameSize = fieldOf(head, Field.nameSize);
  const name = textOf(bytes, at + CPIO_HEADER_BYTES, nameSize - 1);
  const start = bodyStart(at, name);
  requireZeros(bytes, at + CPIO_HEADER_BYTES + name.length, start);
  const size = fieldOf(head, Field.size);
  if (size > bytes.length - start) throw bad('it is truncated');
  const end = aligned(start + size);
  requireZeros(bytes, start + size, end);
  return { head, name, body: bytes.subarray(start, start + size), end };
}

/** Places of the fields that tell entries apart. */
const Field = { mode: 1, size: 6, major: 9, minor: 10, nameSize: 11 } as const;

function fieldOf(head: string, index: number): number {
  return Number.parseInt(head.slice(6 + 8 * index, 14 + 8 * index), 16);
}

function entryOf(head: string, path: string, body: Uint8Array): CpioEntry {
  const full = fieldOf(head, Field.mode);
  const mode = full & MODE_BITS;
  switch (full - mode) {
    case fileTypes.file:
      return { kind: 'file', path, mode, contents: body };
    case fileTypes.directory:
      return { kind: 'directory', path, mode };
    case fileTypes.link:
      return { kind: 'link', path, target: textOf(body, 0, body.length) };
    case fileTypes.device:
      return { kind: 'device', path, mode, ...numbersOf(head) };
    default:
      throw bad(`${JSON.stringify(path.slice(0, 80))} is no file, directory, link or character device`);
  }
}

function numbersOf(head: string): { readonly major: number; readonly minor: number } {
  return { major: fieldOf(head, Field.major), minor: fieldOf(head, Field.minor) };
}

function textOf(bytes: Uint8Array, at: number, size: number): string {
  if (size < 0 || size > bytes.length - at) throw bad('it is truncated');
  if (size > CPIO_HEADER_BYTES * 16) throw bad('a name is too long');
  return String.fromCharCode(...bytes.subarray(at, at + size));
}

function requireEnd(bytes: Uint8Array, end: number): void {
  if (bytes.length !== Math.ceil(end / CPIO_BLOCK_BYTES) * CPIO_BLOCK_BYTES) {
    throw bad('it does not end right after its trailer');
  }
  requireZeros(bytes, end, bytes.length);
}

function requireZeros(bytes: Uint8Array, from: number, to: number): void {
  if (to > bytes.length) throw bad('it is truncated');
  if (bytes.subarray(from, to).some((byte) => byte !== 0)) throw bad('its padding is not zero');
}

function bad(what: string): KmsError {
  return new KmsError('BAD_ENCODING', `not an archive as this project writes them: ${what}`);
}
