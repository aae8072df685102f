import { KmsError } from '../errors.ts';

/** One element of DER (X.690): tag byte, contents, and the whole with its header. Views, not copies. */
export interface DerElement {
  readonly tag: number;
  readonly contents: Uint8Array;
  readonly whole: Uint8Array;
}

/** Tags of the types that certificates need. */
export const Tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  /** [0] and so on, constructed. */
  context: (index: number): number => 0xa0 | index,
} as const;

export function badDer(what: string): KmsError {
  return new KmsError('BAD_ENCODING', `certificate: ${what}`);
}

/**
 * Walks the elements of one level, in order, each of a tag that the caller names. Lengths are definite and shortest; tags
 * above 30 do not occur in certificates and are refused.
 * Every method throws KmsError BAD_ENCODING.
 */
export class DerReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** The next element's tag, undefined at the end. */
  get nextTag(): number | undefined {
    return this.#bytes[this.#at];
  }

  take(tag: number): DerElement {
    const start = this.#at;
    const found = this.#byte();
    if (found !== tag) throw badDer(`tag ${found} where ${tag} belongs`);
    const size = this.#length();
    if (size > this.#bytes.length - this.#at) throw badDer('truncated');
    const contents = this.#bytes.subarray(this.#at, this.#at + size);
    this.#at += size;
    return { tag, contents, whole: this.#bytes.subarray(start, this.#at) };
  }

  /** Goes into a constructed element. */
  enter(tag: number): DerReader {
    return new DerReader(this.take(tag).contents);
  }

  end(): void {
    if (!this.isAtEnd) throw badDer('trailing bytes');
  }

  #length(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (count < 1 || count > 2) throw badDer('an indefinite or huge length');
    let size = 0;
    for (let i = 0; i < count; i++) size = size * 256 + this.#byte();
    if (size < (count === 1 ? 0x80 : 0x100)) throw badDer('a length that is not in its shortest form');
    return size;
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw badDer('truncated');
    return byte;
  }
}

/** The whole input as one element. */
export function readDer(bytes: Uint8Array, tag: number): DerReader {
  const outer = new DerReader(bytes);
  const inner = outer.enter(tag);
  outer.end();
  return inner;
}

/** A BOOLEAN DEFAULT FALSE: absent or true, since DER leaves defaults out. */
export function takeFlag(from: DerReader): boolean {
  if (from.nextTag !== Tag.boolean) return false;
  const { contents } = from.take(Tag.boolean);
  if (contents.length !== 1 || contents[0] !== 0xff) throw badDer('a boolean that is not true');
  return true;
}

/** Big endian magnitude without a leading zero; a negative or padded integer is refused. Zero gives one zero byte. */
export function unsignedOf(contents: Uint8Array): Uint8Array {
  const [first, second] = contents;
  if (first === undefined || first >= 0x80) throw badDer('an integer that is not positive');
  if (first !== 0 || second === undefined) return contents;
  if (second < 0x80) throw badDer('an integer that is not in its shortest form');
  return contents.subarray(1);
}

/** A string of whole bytes. */
export function octetsOfBitString(contents: Uint8Array): Uint8Array {
  if (contents[0] !== 0) throw badDer('a bit string that is not whole bytes');
  return contents.subarray(1);
}

/**
 * The named bits of a key usage: bit 0 first. Trailing zero bits must have been cut.
 */
export function namedBitsOf(contents: Uint8Array): (bit: number) => boolean {
  const unused = contents[0] ?? 8;
  const last = contents[contents.length - 1] ?? 0;
  if (contents.length < 2 || unused > 7 || (last & ((1 << (unused + 1)) - 1)) !== 1 << unused) {
    throw badDer('a named bit list that is not in its shortest form');
  }
  return (bit) => ((contents[1 + (bit >> 3)] ?? 0) & (0x80 >> (bit & 7))) !== 0;
}

/**
 * Unix time. UTCTime for the years 1950 to 2049, GeneralizedTime after, seconds, always Z (RFC 5280 section 4.1.2.5).
 */
export function timeOf(element: DerElement): number {
  const text = String.fromCharCode(...element.contents);
  const isShort = element.tag === Tag.utcTime;
  const match = /^(\d{2}|\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (match === null || text.length !== (isShort ? 13 : 15)) throw badDer('a time that is none');
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  const fullYear = isShort ? year + (year < 50 ? 2000 : 1900) : year;
  if (!isShort && fullYear < 2050) throw badDer('a time in the wrong form');
  const ms = Date.UTC(fullYear, month - 1, day, hour, minute, second);
  const back = new Date(ms);
  if (
    back.getUTCMonth() !== month - 1 ||
    back.getUTCDate() !== day ||
    hour > 23 ||
    minute > 59 ||
    second > 59
  ) {
    throw badDer('a time that does not exist');
  }
  return ms;
}
