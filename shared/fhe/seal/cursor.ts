import { KmsError } from '../../errors.ts';

/** Sequential strict reader of SEAL's little-endian fields. Never copies but where it says so. */
export class Cursor {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = at;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  raw(sizeBytes: number): Uint8Array {
    const at = this.#take(sizeBytes);
    return this.#bytes.subarray(at, at + sizeBytes);
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  /** @throws {KmsError} BAD_ENCODING unless the next u64 is exactly `value` */
  expectU64(value: number, what: string): void {
    if (this.u64() !== value) throw new KmsError('BAD_ENCODING', `${what} is not ${value}`);
  }

  /** A size or count. @throws {KmsError} BAD_ENCODING from 2^53 on */
  u64(): number {
    const value = this.#view.getBigUint64(this.#take(8), true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER))
      throw new KmsError('BAD_ENCODING', 'a size field is out of range');
    return Number(value);
  }

  f64(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }

  /** A copy of `count` 64-bit words. */
  words(count: number): BigUint64Array {
    const copy = new BigUint64Array(count);
    new Uint8Array(copy.buffer).set(this.raw(8 * count));
    return copy;
  }

  end(): void {
    if (this.remaining !== 0) throw new KmsError('BAD_ENCODING', 'SEAL object has trailing bytes');
  }

  #take(sizeBytes: number): number {
    if (sizeBytes > this.remaining) throw new KmsError('BAD_ENCODING', 'SEAL object is truncated');
    this.#at += sizeBytes;
    return this.#at - sizeBytes;
  }
}
