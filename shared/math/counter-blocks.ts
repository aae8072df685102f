import { KmsError } from '../errors.ts';

/** blockCount blocks of 16 bytes: block j = base + j as 128-bit little-endian integers modulo 2^128. */
export function counterBlocks(base: Uint8Array, blockCount: number): Uint8Array {
  const out = new Uint8Array(16 * blockCount);
  writeCounterBlocks(base, out);
  return out;
}

/** Fills out (a multiple of 16 bytes) with base, base + 1, ... @throws {KmsError} BAD_INPUT on other sizes */
export function writeCounterBlocks(base: Uint8Array, out: Uint8Array): void {
  if (base.length !== 16 || out.length % 16 !== 0)
    throw new KmsError('BAD_INPUT', 'counter blocks are 16 bytes');
  const start = new DataView(base.buffer, base.byteOffset, 16);
  const w0 = start.getInt32(0, true);
  const w1 = start.getInt32(4, true);
  const w2 = start.getInt32(8, true);
  const w3 = start.getInt32(12, true);
  const view = new DataView(out.buffer, out.byteOffset, out.length);
  for (let j = 0, at = 0; at < out.length; j++, at += 16) {
    // Carries without branches: the base may derive from a secret.
    const x0 = (w0 + j) | 0;
    const c0 = ((w0 & j) | ((w0 | j) & ~x0)) >>> 31;
    const x1 = (w1 + c0) | 0;
    const c1 = (w1 & ~x1) >>> 31;
    const x2 = (w2 + c1) | 0;
    const c2 = (w2 & ~x2) >>> 31;
    view.setInt32(at, x0, true);
    view.setInt32(at + 4, x1, true);
    view.setInt32(at + 8, x2, true);
    view.setInt32(at + 12, (w3 + c2) | 0, true);
  }
}
