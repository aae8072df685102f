import { KmsError } from '../errors.ts';

/** blockCount blocks of 16 bytes: block j = base + j as 128-bit little-endian integers modulo 2^128. */
export function counterBlocks(base: Uint8Array, blockCount: number): Uint8Array {
  const out = new Uint8Array(16 * blockCount);
  writeCounterBlocks(base, out);
  return out;
}

/**
 * Fills out (a multiple of 16 bytes) with base, base + 1, ... The base may derive from a secret: carries
 * without branches.
 * @throws {KmsError} BAD_INPUT on other sizes
 */
export function writeCounterBlocks(base: Uint8Array, out: Uint8Array): void {
  if (base.length !== 16 || out.length % 16 !== 0)
    throw new KmsError('BAD_INPUT', 'counter blocks are 16 bytes');
  const start = new DataView(base.buffer, base.byteOffset, 16);
  const aligned = out.byteOffset % 4 === 0;
  const words = aligned
    ? new Int32Array(out.buffer, out.byteOffset, out.length / 4)
    : new Int32Array(out.length / 4);
  count(
    words,
    [0, 4, 8, 12].map((at) => start.getInt32(at, true)),
  );
  if (!aligned) out.set(new Uint8Array(words.buffer));
}

function count(words: Int32Array, base: readonly number[]): void {
  const [w0 = 0, w1 = 0, w2 = 0, w3 = 0] = base;
  // Whether a carry out of the lowest word runs through the second, and through the third.
  const through1 = (w1 & ~(w1 + 1)) >>> 31;
  const through2 = through1 & ((w2 & ~(w2 + 1)) >>> 31);
  for (let j = 0, at = 0; at < words.length; j++, at += 4) {
    const low = (w0 + j) | 0;
    const carry = ((w0 & j) | ((w0 | j) & ~low)) >>> 31;
    words[at] = low;
    words[at + 1] = w1 + carry;
    words[at + 2] = w2 + (carry & through1);
    words[at + 3] = w3 + (carry & through2);
  }
}
