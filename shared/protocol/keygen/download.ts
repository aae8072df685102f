import type { PartyId } from '../../ids.ts';
import { concat } from '../../wire/bytes.ts';

export const CHUNK_BYTES = 4 << 20;

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
 * certified one; a peer that sends something else has wasted one download of the size that the request's records have.
 */
export class RecordDownload {
  readonly from: PartyId;
  readonly #sizeBytes: number;
  readonly #pieces: Uint8Array[] = [];
  #received = 0;

  /** @param sizeBytes of the record: follows from its request */
  constructor(from: PartyId, sizeBytes: number) {
    this.from = from;
    this.#sizeBytes = sizeBytes;
  }

  /** Offset of the piece to ask for next. */
  get offset(): number {
    return this.#received;
  }

  /** @returns false if the piece is not the one asked for; the download is then worthless */
  add({ offset, total, bytes }: Chunk): boolean {
    if (total !== this.#sizeBytes || offset !== this.#received || offset >= total) return false;
    // Whole pieces only: a peer that sends single bytes would never be done, and never late.
    if (bytes.length !== Math.min(CHUNK_BYTES, total - offset)) return false;
    this.#pieces.push(bytes);
    this.#received += bytes.length;
    return true;
  }

  /** The whole record once all of it is here. */
  get complete(): Uint8Array | undefined {
    return this.#received === this.#sizeBytes ? concat(...this.#pieces) : undefined;
  }
}
