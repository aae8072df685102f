import type { KeyId, PartyId } from '../../ids.ts';

export const CHUNK_BYTES = 4 << 20;
/** Larger than any record: SEAL's default Galois keys at N = 16384 take 150 MB. */
export const MAX_RECORD_BYTES = 512 << 20;

/** A piece of an encoded key record. */
export interface Chunk {
  readonly offset: number;
  readonly total: number;
  readonly bytes: Uint8Array;
}

/** The piece of a record at an offset, for whoever fetches it. */
export function chunkAt(record: Uint8Array, offset: number): Chunk {
  return { offset, total: record.length, bytes: record.subarray(offset, offset + CHUNK_BYTES) };
}

/**
 * Fetches an encoded key record from one peer, piece by piece. Nothing in it is trusted until its digest is the
 * certified one; a peer that sends something else has wasted one download.
 */
export class RecordDownload {
  readonly key: KeyId;
  readonly from: PartyId;
  #bytes: Uint8Array | undefined;
  #received = 0;

  constructor(key: KeyId, from: PartyId) {
    this.key = key;
    this.from = from;
  }

  /** Offset of the piece to ask for next. */
  get offset(): number {
    return this.#received;
  }

  /** @returns false if the piece is not the one asked for; the download is then worthless */
  add({ offset, total, bytes }: Chunk): boolean {
    if (total > MAX_RECORD_BYTES || offset !== this.#received || offset >= total) return false;
    // Whole pieces only: a peer that sends single bytes would never be done, and never late.
    if (bytes.length !== Math.min(CHUNK_BYTES, total - offset)) return false;
    // Grows with what has arrived, never with what was announced.
    const grown = new Uint8Array(offset + bytes.length);
    if (this.#bytes !== undefined) grown.set(this.#bytes);
    grown.set(bytes, offset);
    this.#bytes = grown;
    this.#received = grown.length;
    return true;
  }

  /** The whole record once `total` bytes are here. */
  complete(total: number): Uint8Array | undefined {
    return this.#received === total ? this.#bytes : undefined;
  }
}
