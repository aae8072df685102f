import { KmsError } from '../../shared/errors.ts';

/**
 * The frame of an enclave image file (EIF), version 4, all integers big endian: a header of 548 bytes, then the sections,
 * each with a header of 12 bytes.
 */
export const HEADER_BYTES = 548;
export const SECTION_HEADER_BYTES = 12;
export const MAX_SECTIONS = 32;
export const MAX_EIF_BYTES: number = 512 << 20;

const MAGIC = '.eif';
const VERSION = 4;
const ARM64 = 1;

/** Places of the header's fields. */
const AT = { flags: 6, memory: 8, cpus: 16, reserved: 24, count: 26, offsets: 28, sizes: 284, unused: 540 };
/** The checksum is the last field, and covers everything but itself. */
const CRC_AT: number = HEADER_BYTES - 4;

export type Architecture = 'x86_64' | 'arm64';

export type SectionKind = 'kernel' | 'cmdline' | 'metadata' | 'ramdisk' | 'signature';

export const sectionTypes: Readonly<Record<SectionKind, number>> = {
  kernel: 1,
  cmdline: 2,
  ramdisk: 3,
  signature: 4,
  metadata: 5,
};

/** What a section's contents may have at most. */
export const maxSectionBytes: Readonly<Record<SectionKind, number>> = {
  kernel: 64 << 20,
  cmdline: 2047,
  metadata: 64 << 10,
  ramdisk: MAX_EIF_BYTES,
  signature: 64 << 10,
};

/** What the machine gets unless whoever starts it says otherwise. Not measured. */
export interface Defaults {
  readonly memoryBytes: number;
  readonly cpus: number;
}

export const usualDefaults: Defaults = { memoryBytes: 1 << 30, cpus: 2 };

export interface Place {
  /** Of the section's header, from the start of the file. */
  readonly offset: number;
  /** Of the section's contents. */
  readonly size: number;
}

export interface Header {
  readonly architecture: Architecture;
  readonly defaults: Defaults;
  readonly places: readonly Place[];
}

export function badEif(what: string): KmsError {
  return new KmsError('BAD_ENCODING', `not an enclave image of version ${VERSION}: ${what}`);
}

/** 548 bytes, checksum zero. */
export function writeHeader({ architecture, defaults, places }: Header): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(MAGIC));
  view.setUint16(4, VERSION);
  view.setUint16(AT.flags, architecture === 'arm64' ? ARM64 : 0);
  view.setBigUint64(AT.memory, BigInt(defaults.memoryBytes));
  view.setBigUint64(AT.cpus, BigInt(defaults.cpus));
  view.setUint16(AT.count, places.length);
  places.forEach(({ offset, size }, index) => {
    view.setBigUint64(AT.offsets + 8 * index, BigInt(offset));
    view.setBigUint64(AT.sizes + 8 * index, BigInt(size));
  });
  return bytes;
}

/**
 * Places are not compared with the file at this point.
 * @throws {KmsError} BAD_ENCODING
 */
export function readHeader(bytes: Uint8Array): Header {
  if (bytes.length < HEADER_BYTES) throw badEif('it is shorter than the header');
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  const magic = new TextDecoder('latin1').decode(bytes.subarray(0, 4));
  if (magic !== MAGIC) throw badEif(`it does not begin with '${MAGIC}'`);
  if (view.getUint16(4) !== VERSION) throw badEif(`it is of version ${view.getUint16(4)}`);
  const flags = view.getUint16(AT.flags);
  if (flags > ARM64) throw badEif('unknown flags are set');
  if (view.getUint16(AT.reserved) !== 0 || view.getUint32(AT.unused) !== 0) {
    throw badEif('a reserved field is not zero');
  }
  const count = view.getUint16(AT.count);
  if (count > MAX_SECTIONS) throw badEif(`${count} sections, at most ${MAX_SECTIONS} have a place`);
  const all = Array.from({ length: MAX_SECTIONS }, (_, index) => ({
    offset: integerAt(view, AT.offsets + 8 * index),
    size: integerAt(view, AT.sizes + 8 * index),
  }));
  if (all.slice(count).some(({ offset, size }) => offset !== 0 || size !== 0)) {
    throw badEif(`it counts ${count} sections, but gives a place to more`);
  }
  return {
    architecture: flags === ARM64 ? 'arm64' : 'x86_64',
    defaults: { memoryBytes: integerAt(view, AT.memory), cpus: integerAt(view, AT.cpus) },
    places: all.slice(0, count),
  };
}

function integerAt(view: DataView, at: number): number {
  const value = Number(view.getBigUint64(at));
  if (!Number.isSafeInteger(value)) throw badEif('a number is beyond 53 bits');
  return value;
}

export function checksumOf(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(CRC_AT);
}

export function setChecksum(bytes: Uint8Array, checksum: number): void {
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(CRC_AT, checksum);
}

/** The two ranges that the checksum covers. */
export function checked(bytes: Uint8Array): readonly Uint8Array[] {
  return [bytes.subarray(0, CRC_AT), bytes.subarray(HEADER_BYTES)];
}

export interface SectionHeader {
  readonly type: number;
  readonly size: number;
}

/** 12 bytes. */
export function writeSectionHeader({ type, size }: SectionHeader): Uint8Array {
  const bytes = new Uint8Array(SECTION_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, type);
  view.setBigUint64(4, BigInt(size));
  return bytes;
}

/** @throws {KmsError} BAD_ENCODING */
export function readSectionHeader(bytes: Uint8Array, offset: number): SectionHeader {
  if (bytes.length - offset < SECTION_HEADER_BYTES) throw badEif('it ends within a section');
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, SECTION_HEADER_BYTES);
  if (view.getUint16(2) !== 0) throw badEif("a section's flags are set");
  return { type: view.getUint16(0), size: integerAt(view, 4) };
}
