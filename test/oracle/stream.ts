import { createCipheriv, createHash } from 'node:crypto';

/** Deterministic bytes for tests: AES-256-CTR of zeros under SHA-256 of a name. */
export function stream(name: string, sizeBytes: number): Uint8Array {
  const key = createHash('sha256').update(name).digest();
  return new Uint8Array(createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(sizeBytes)));
}

/** count deterministic bigints in [0, below), below < 2^64; the first ones are the edges 0, below-1, 1. */
export function values(name: string, count: number, below: bigint): bigint[] {
  const words = new BigUint64Array(stream(name, 16 * count).buffer);
  const edges = [0n, below - 1n, 1n % below];
  return Array.from(
    { length: count },
    (_, i) => edges[i] ?? ((words[2 * i]! << 64n) | words[2 * i + 1]!) % below,
  );
}
