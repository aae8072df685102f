import { KmsError } from '../../errors.ts';
import { concat } from '../../wire/bytes.ts';

/**
 * Recursive length prefix, canonical encodings only: a value has one, and every other byte string is refused.
 * @see https://ethereum.org/developers/docs/data-structures-and-encoding/rlp
 */
export type RlpItem = Uint8Array | readonly RlpItem[];

const STRING = 0x80;
const LIST = 0xc0;
/** Payloads up to this length have it in their first byte. */
const SHORT = 55;

export function encodeRlp(item: RlpItem): Uint8Array {
  if (!(item instanceof Uint8Array)) {
    const payload = concat(...item.map(encodeRlp));
    return concat(prefix(LIST, payload.length), payload);
  }
  const isItself = item.length === 1 && item[0]! < STRING;
  return isItself ? item : concat(prefix(STRING, item.length), item);
}

/**
 * Of a whole byte string, which the caller has limited in size.
 * @param maxDepth lists within lists: 1 for a list of strings
 * @throws {KmsError} BAD_ENCODING
 */
export function decodeRlp(bytes: Uint8Array, maxDepth: number): RlpItem {
  const { item, end } = readItem(bytes, 0, bytes.length, maxDepth);
  if (end !== bytes.length) throw bad('bytes follow the item');
  return item;
}

/** A list's items. @throws {KmsError} BAD_ENCODING for a string */
export function listOf(item: RlpItem): readonly RlpItem[] {
  if (item instanceof Uint8Array) throw bad('a list is expected');
  return item;
}

/** A string, of exactly this size if one is given. @throws {KmsError} BAD_ENCODING */
export function stringOf(item: RlpItem | undefined, sizeBytes?: number): Uint8Array {
  if (!(item instanceof Uint8Array)) throw bad('a string is expected');
  if (sizeBytes !== undefined && item.length !== sizeBytes) throw bad(`${sizeBytes} bytes are expected`);
  return item;
}

/** An unsigned integer: big endian, no leading zeros, zero is empty. @throws {KmsError} BAD_ENCODING */
export function integerOf(item: RlpItem | undefined, maxBytes: number): bigint {
  const bytes = stringOf(item);
  if (bytes.length > maxBytes) throw bad(`an integer of at most ${maxBytes} bytes is expected`);
  if (bytes[0] === 0) throw bad('an integer has no leading zeros');
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

/** The bytes of an unsigned integer, as integerOf() reads them. */
export function integerBytes(value: bigint): Uint8Array {
  const bytes: number[] = [];
  for (let rest = value; rest > 0n; rest >>= 8n) bytes.unshift(Number(rest & 255n));
  return Uint8Array.from(bytes);
}

function prefix(base: number, length: number): Uint8Array {
  if (length <= SHORT) return Uint8Array.of(base + length);
  const bytes = integerBytes(BigInt(length));
  return concat(Uint8Array.of(base + SHORT + bytes.length), bytes);
}

interface Read {
  readonly item: RlpItem;
  /** Where the next item begins. */
  readonly end: number;
}

/** @param limit end of what encloses the item */
function readItem(bytes: Uint8Array, at: number, limit: number, depth: number): Read {
  if (at >= limit) throw bad('an item is missing');
  const first = bytes[at]!;
  if (first < STRING) return { item: bytes.slice(at, at + 1), end: at + 1 };
  const isList = first >= LIST;
  const { start, end } = readPayload(bytes, at, limit, first - (isList ? LIST : STRING));
  if (isList) return { item: readItems(bytes, start, end, depth), end };
  if (end - start === 1 && bytes[start]! < STRING) throw bad('a small byte is its own encoding');
  return { item: bytes.slice(start, end), end };
}

function readPayload(
  bytes: Uint8Array,
  at: number,
  limit: number,
  code: number,
): { readonly start: number; readonly end: number } {
  const lengthBytes = Math.max(0, code - SHORT);
  const start = at + 1 + lengthBytes;
  let length = code;
  if (lengthBytes > 0) {
    if (bytes[at + 1] === 0) throw bad('a length has leading zeros');
    length = bytes.subarray(at + 1, start).reduce((value, byte) => value * 256 + byte, 0);
    if (length <= SHORT) throw bad('a short length has a long form');
  }
  // A length that is cut off itself ends here too: less than nothing is left for it.
  if (length > limit - start) throw bad('an item is cut off');
  return { start, end: start + length };
}

function readItems(bytes: Uint8Array, start: number, end: number, depth: number): readonly RlpItem[] {
  if (depth < 1) throw bad('lists are nested too deep');
  const items: RlpItem[] = [];
  for (let at = start; at < end; ) {
    const read = readItem(bytes, at, end, depth - 1);
    items.push(read.item);
    at = read.end;
  }
  return items;
}

function bad(what: string): KmsError {
  return new KmsError('BAD_ENCODING', `not canonical RLP: ${what}`);
}
