import { KmsError } from '../../shared/errors.ts';

/**
 * Archives for ramdisks: cpio's "new ASCII" format, as the kernel unpacks it (buffer-format.rst). One set of entries has one
 * archive: sorted, owned by root, without times; numbered from 1.
 */
export type CpioEntry = CpioFile | CpioDirectory | CpioLink | CpioDevice;

interface Named {
  /** From the ramdisk's root, without a leading slash: `rootfs/usr/bin/node`. */
  readonly path: string;
}

export interface CpioFile extends Named {
  readonly kind: 'file';
  /** Permission bits. */
  readonly mode: number;
  readonly contents: Uint8Array;
}

export interface CpioDirectory extends Named {
  readonly kind: 'directory';
  readonly mode: number;
}

export interface CpioLink extends Named {
  readonly kind: 'link';
  readonly target: string;
}

export interface CpioDevice extends Named {
  /** A character device, such as dev/console (5, 1). */
  readonly kind: 'device';
  readonly mode: number;
  readonly major: number;
  readonly minor: number;
}

export const CPIO_HEADER_BYTES = 110;
export const MAX_CPIO_ENTRIES = 65536;
export const MAX_CPIO_BYTES: number = 512 << 20;
export const TRAILER = 'TRAILER!!!';
/** Archives end on such a border: another one may follow. */
export const CPIO_BLOCK_BYTES = 512;

const MAX_PATH = 1024;
/** Permissions, and the sticky bit of a shared directory; never setuid or setgid. */
const MODE_BITS = 0o1777;

export const fileTypes: Readonly<Record<CpioEntry['kind'], number>> = {
  device: 0o020000,
  directory: 0o040000,
  file: 0o100000,
  link: 0o120000,
};

/** @throws {KmsError} BAD_INPUT for an entry that has no place in an archive, TOO_LARGE */
export function writeCpio(entries: readonly CpioEntry[]): Uint8Array {
  const sorted = entries.toSorted((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  checkCpio(sorted);
  const parts = sorted.map((entry, index) => ({
    header: cpioHeader(entry, index + 1),
    name: entry.path,
    body: bodyOf(entry),
  }));
  parts.push({ header: trailerHeader(), name: TRAILER, body: new Uint8Array(0) });
  let end = 0;
  const starts = parts.map(({ name, body }) => {
    const start = end;
    end = aligned(bodyStart(start, name) + body.length);
    return start;
  });
  end = Math.ceil(end / CPIO_BLOCK_BYTES) * CPIO_BLOCK_BYTES;
  if (end > MAX_CPIO_BYTES) {
    throw new KmsError('TOO_LARGE', `the archive has ${end} bytes; at most ${MAX_CPIO_BYTES} are allowed`);
  }
  const bytes = new Uint8Array(end);
  parts.forEach(({ header, name, body }, index) => {
    const start = starts[index] ?? 0;
    bytes.set(new TextEncoder().encode(header + name), start);
    bytes.set(body, bodyStart(start, name));
  });
  return bytes;
}

/**
 * The rules of an archive's entries, in its order.
 * @throws {KmsError} BAD_INPUT, TOO_LARGE
 */
export function checkCpio(entries: readonly CpioEntry[]): void {
  if (entries.length > MAX_CPIO_ENTRIES) {
    throw new KmsError('TOO_LARGE', `${entries.length} entries; an archive has at most ${MAX_CPIO_ENTRIES}`);
  }
  const directories = new Set<string>();
  let last = '';
  for (const entry of entries) {
    const { path, kind } = entry;
    if (!isPath(path)) throw bad(path, 'is no plain relative path of printable ASCII');
    if (path === last) throw bad(path, 'is there twice');
    if (path < last) throw bad(path, 'is out of order');
    const parent = path.slice(0, Math.max(0, path.lastIndexOf('/')));
    if (parent !== '' && !directories.has(parent)) throw bad(path, 'lies in a directory that is not there');
    if (kind === 'directory') directories.add(path);
    if (kind === 'link') {
      if (!isTarget(entry.target)) throw bad(path, 'links to no path');
    } else if (!Number.isInteger(entry.mode) || (entry.mode & ~MODE_BITS) !== 0) {
      throw bad(path, 'has a mode beyond permissions');
    }
    if (kind === 'device' && ![entry.major, entry.minor].every(isDeviceNumber)) {
      throw bad(path, 'has no device number');
    }
    last = path;
  }
}

/** The header of an entry, with everything that follows from its place. */
export function cpioHeader(entry: CpioEntry, inode: number): string {
  const { kind, path } = entry;
  const mode = fileTypes[kind] | (kind === 'link' ? 0o777 : entry.mode);
  const [major, minor] = kind === 'device' ? [entry.major, entry.minor] : [0, 0];
  const links = kind === 'directory' ? 2 : 1;
  return header([inode, mode, 0, 0, links, 0, bodyOf(entry).length, 0, 0, major, minor, path.length + 1, 0]);
}

export function trailerHeader(): string {
  return header([0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, TRAILER.length + 1, 0]);
}

/** ino, mode, uid, gid, nlink, mtime, filesize, device (2), rdev (2), namesize, check. */
function header(fields: readonly number[]): string {
  return `070701${fields.map((field) => field.toString(16).toUpperCase().padStart(8, '0')).join('')}`;
}

/** Where the contents of the entry that begins at `start` begin. */
export function bodyStart(start: number, name: string): number {
  return aligned(start + CPIO_HEADER_BYTES + name.length + 1);
}

export function aligned(at: number): number {
  return Math.ceil(at / 4) * 4;
}

function bodyOf(entry: CpioEntry): Uint8Array {
  if (entry.kind === 'file') return entry.contents;
  return new TextEncoder().encode(entry.kind === 'link' ? entry.target : '');
}

function isPath(path: string): boolean {
  return (
    path.length <= MAX_PATH &&
    path !== TRAILER &&
    path.split('/').every((name) => /^[\x20-\x7e]{1,255}$/.test(name) && name !== '.' && name !== '..')
  );
}

function isTarget(target: string): boolean {
  return target.length <= MAX_PATH && /^[\x20-\x7e]+$/.test(target);
}

function isDeviceNumber(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < 2 ** 20;
}

function bad(path: string, why: string): KmsError {
  return new KmsError('BAD_INPUT', `the archive's entry ${JSON.stringify(path.slice(0, 80))} ${why}`);
}
