import { KmsError } from '../../shared/errors.ts';
import { equalBytes } from '../../shared/wire/bytes.ts';

/**
 * Walks one BER encoding (X.690) in order, each element of a tag that the caller names. Of BER's freedom two things are
 * taken: constructed elements may have an indefinite length, and nothing else. Definite lengths are shortest, primitive
 * elements have one, tags have one byte. Nesting is the caller's, so bytes cannot deepen it.
 * Every method throws KmsError BAD_ENCODING.
 */
export class BerReader {
  readonly #bytes: Uint8Array;
  #at = 0;
  /** The end of the innermost element of definite length around this place. */
  #limit: number;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#limit = bytes.length;
  }

  /** The next element has this tag. */
  nextIs(tag: number): boolean {
    return this.#at < this.#limit && this.#bytes[this.#at] === tag;
  }

  /** Goes into a constructed element; `read` must take all of it. */
  constructed<T>(tag: number, read: () => T): T {
    this.#expectTag(tag);
    const outer = this.#limit;
    const isIndefinite = this.nextIs(INDEFINITE);
    if (isIndefinite) this.#at++;
    else this.#limit = this.#end();
    const value = read();
    if (isIndefinite) this.expect(END_OF_CONTENTS);
    else if (this.#at !== this.#limit) throw badBer('an element holds more than belongs there');
    this.#limit = outer;
    return value;
  }

  /** Contents of a primitive element; a view. */
  primitive(tag: number): Uint8Array {
    this.#expectTag(tag);
    const end = this.#end();
    const contents = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return contents;
  }

  /** Exactly these bytes come next. */
  expect(encoding: Uint8Array): void {
    const end = this.#at + encoding.length;
    if (end > this.#limit || !equalBytes(this.#bytes.subarray(this.#at, end), encoding)) {
      throw badBer('something else than the one type that belongs there');
    }
    this.#at = end;
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw badBer('trailing bytes');
  }

  #expectTag(tag: number): void {
    if (!this.nextIs(tag)) throw badBer(`no element with the tag ${tag} where it belongs`);
    this.#at++;
  }

  /** Reads a definite length. */
  #end(): number {
    const first = this.#byte();
    const count = first & 0x7f;
    if (first === INDEFINITE || (first > INDEFINITE && count > 2))
      throw badBer('an indefinite or huge length');
    let size = first;
    if (first > INDEFINITE) {
      size = 0;
      for (let i = 0; i < count; i++) size = size * 256 + this.#byte();
      if (size < (count === 1 ? 0x80 : 0x100)) throw badBer('a length that is not in its shortest form');
    }
    if (size > this.#limit - this.#at) throw badBer('truncated');
    return this.#at + size;
  }

  #byte(): number {
    const byte = this.#at < this.#limit ? this.#bytes[this.#at++] : undefined;
    if (byte === undefined) throw badBer('truncated');
    return byte;
  }
}

const INDEFINITE = 0x80;
const END_OF_CONTENTS = new Uint8Array(2);

export function badBer(what: string): KmsError {
  return new KmsError('BAD_ENCODING', `CMS: ${what}`);
}
