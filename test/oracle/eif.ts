import { createHash } from 'node:crypto';

/** The frame of an enclave image, written down a second time from its description, and able to be wrong anywhere. */
export interface RawSection {
  readonly type: number;
  readonly contents: Uint8Array;
  readonly flags?: number;
  /** What the section's own header says. */
  readonly size?: number;
  /** What the file's header says. */
  readonly place?: { readonly offset?: number; readonly size?: number };
}

export interface RawFile {
  readonly magic?: string;
  readonly version?: number;
  readonly flags?: number;
  readonly reserved?: number;
  readonly count?: number;
  readonly unused?: number;
  readonly sections: readonly RawSection[];
  readonly trailing?: Uint8Array;
}

/** With a right checksum. */
export function rawEif(file: RawFile): Uint8Array {
  const head = Buffer.alloc(548);
  head.write(file.magic ?? '.eif', 'latin1');
  head.writeUInt16BE(file.version ?? 4, 4);
  head.writeUInt16BE(file.flags ?? 0, 6);
  head.writeBigUInt64BE(1n << 30n, 8);
  head.writeBigUInt64BE(2n, 16);
  head.writeUInt16BE(file.reserved ?? 0, 24);
  head.writeUInt16BE(file.count ?? file.sections.length, 26);
  head.writeUInt32BE(file.unused ?? 0, 540);
  const parts: Uint8Array[] = [head];
  let at = 548;
  file.sections.forEach(({ type, contents, flags, size, place }, index) => {
    head.writeBigUInt64BE(BigInt(place?.offset ?? at), 28 + 8 * index);
    head.writeBigUInt64BE(BigInt(place?.size ?? contents.length), 284 + 8 * index);
    const own = Buffer.alloc(12);
    own.writeUInt16BE(type, 0);
    own.writeUInt16BE(flags ?? 0, 2);
    own.writeBigUInt64BE(BigInt(size ?? contents.length), 4);
    parts.push(own, contents);
    at += 12 + contents.length;
  });
  const bytes = Buffer.concat([...parts, file.trailing ?? new Uint8Array(0)]);
  return withChecksum(new Uint8Array(bytes));
}

/** A copy with its checksum made right. */
export function withChecksum(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const sum = crc32(copy.filter((_, at) => at < 544 || at >= 548));
  new DataView(copy.buffer).setUint32(544, sum);
  return copy;
}

/** CRC-32 of IEEE 802.3, bit by bit. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

/** SHA-384 of 48 zeros and the SHA-384 of everything in one piece, hex. */
export function registerOf(...parts: readonly Uint8Array[]): string {
  const contents = createHash('sha384').update(Buffer.concat(parts)).digest();
  return createHash('sha384')
    .update(Buffer.concat([Buffer.alloc(48), contents]))
    .digest('hex');
}
