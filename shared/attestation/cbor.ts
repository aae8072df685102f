import { KmsError } from '../errors.ts';
import { equalBytes } from '../wire/bytes.ts';

/**
 * The part of CBOR (RFC 8949) that attestation documents and the security module speak: integers within 53 bits, byte and text
 * strings, arrays, maps, booleans, null. Only the preferred encoding is read (section 4.2.1, but for the order of map
 * keys, which AWS does not sort): shortest integers and lengths, definite lengths, no tag, no float, no duplicate key,
 * no trailing byte. So a value has one encoding for each order of its keys.
 */
export type CborValue = number | string | boolean | null | Uint8Array | readonly CborValue[] | CborMap;
export type CborKey = number | string;
export type CborMap = ReadonlyMap<CborKey, CborValue>;

const MAX_DEPTH = 8;
const MAX_ITEMS = 64;

const UNSIGNED = 0;
const NEGATIVE = 1;
const BYTES = 2;
const TEXT = 3;
const ARRAY = 4;
const MAP = 5;
const SIMPLE = 7;

/** @throws {KmsError} BAD_ENCODING for anything else than one value in the encoding above */
export function readCbor(bytes: Uint8Array): CborValue {
  const reader = new CborReader(bytes);
  const value = reader.value(0);
  reader.end();
  return value;
}

function bad(what: string): KmsError {
  return new KmsError('BAD_ENCODING', `CBOR: ${what}`);
}

class CborReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw bad('trailing bytes');
  }

  value(depth: number): CborValue {
    if (depth > MAX_DEPTH) throw bad('nested too deeply');
    const first = this.#byte();
    const major = first >> 5;
    if (major === SIMPLE) return simple(first);
    const argument = this.#argument(first & 31);
    switch (major) {
      case UNSIGNED:
        return argument;
      case NEGATIVE:
        if (argument === Number.MAX_SAFE_INTEGER) throw bad('an integer beyond 53 bits');
        return -1 - argument;
      case BYTES:
        return this.#raw(argument).slice();
      case TEXT:
        return this.#text(argument);
      case ARRAY:
        return this.#items(argument).map(() => this.value(depth + 1));
      case MAP:
        return this.#map(argument, depth + 1);
      default:
        throw bad('a tag');
    }
  }

  #map(size: number, depth: number): CborMap {
    const map = new Map<CborKey, CborValue>();
    for (const _ of this.#items(size)) {
      const key = this.value(depth);
      if (typeof key !== 'string' && typeof key !== 'number')
        throw bad('a key that is no integer and no text');
      if (map.has(key)) throw bad('a duplicate key');
      map.set(key, this.value(depth));
    }
    return map;
  }

  /** A count is bounded before anything is allocated for it. */
  #items(count: number): readonly undefined[] {
    if (count > MAX_ITEMS) throw bad(`more than ${MAX_ITEMS} items`);
    return Array.from({ length: count }, () => undefined);
  }

  #text(sizeBytes: number): string {
    const raw = this.#raw(sizeBytes);
    const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(raw);
    if (!equalBytes(new TextEncoder().encode(text), raw)) throw bad('text that is not UTF-8');
    return text;
  }

  #argument(info: number): number {
    if (info < 24) return info;
    if (info > 27) throw bad('an indefinite length or a reserved head');
    const sizeBytes = 1 << (info - 24);
    const value = this.#raw(sizeBytes).reduce((sum, byte) => sum * 256 + byte, 0);
    if (!Number.isSafeInteger(value)) throw bad('an integer beyond 53 bits');
    if (value < (sizeBytes === 1 ? 24 : 2 ** (4 * sizeBytes)))
      throw bad('an integer that is not in its shortest form');
    return value;
  }

  #byte(): number {
    const [byte] = this.#raw(1);
    if (byte === undefined) throw bad('truncated');
    return byte;
  }

  #raw(sizeBytes: number): Uint8Array {
    if (sizeBytes > this.#bytes.length - this.#at) throw bad('truncated');
    this.#at += sizeBytes;
    return this.#bytes.subarray(this.#at - sizeBytes, this.#at);
  }
}

function simple(first: number): boolean | null {
  if (first === 0xf4) return false;
  if (first === 0xf5) return true;
  if (first === 0xf6) return null;
  throw bad('a float or an unknown simple value');
}
