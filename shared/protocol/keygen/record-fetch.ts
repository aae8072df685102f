import type { PartyId } from '../../ids.ts';
import { type Chunk, RecordDownload } from './download.ts';
import { recordSizeBytes } from './record.ts';
import type { KeyRequest } from './request.ts';

/** A peer that is slow with a piece of a record is replaced after this many rounds. */
const CHUNK_ROUNDS = 4;
/** A certificate that comes before this party's own record is given time to be overtaken by it. */
const DELAY_ROUNDS = 1;

/** The piece to ask a peer for. */
export interface ChunkRequest {
  readonly to: PartyId;
  readonly offset: number;
}

/** Gets one certified record from the peers that say they have it, one after the other, until one has served it whole. */
export class RecordFetch {
  readonly #request: KeyRequest;
  readonly #roundMs: number;
  /** In the order they said so; whoever was asked goes to the end. */
  readonly #sources: PartyId[] = [];
  #download: RecordDownload | undefined;
  #deadlineMs: number | undefined;
  #dueMs: number | undefined;

  /** @param request what the record is of: its size follows from it */
  constructor(request: KeyRequest, roundMs: number) {
    this.#request = request;
    this.#roundMs = roundMs;
  }

  get nextWakeMs(): number | undefined {
    const wakes = [this.#deadlineMs, this.#dueMs].filter((ms) => ms !== undefined);
    return wakes.length === 0 ? undefined : Math.min(...wakes);
  }

  /** The peer has the record. */
  addSource(peer: PartyId): void {
    if (!this.#sources.includes(peer)) this.#sources.push(peer);
  }

  /** This party lacks the record: it begins a little later, unless it has begun. */
  expect(nowMs: number): void {
    if (this.#download === undefined) this.#dueMs ??= nowMs + DELAY_ROUNDS * this.#roundMs;
  }

  tick(nowMs: number): ChunkRequest | undefined {
    const wakeMs = this.nextWakeMs;
    return wakeMs !== undefined && nowMs >= wakeMs ? this.next(nowMs) : undefined;
  }

  /** Turns to the next peer that has the record. @throws {KmsError} UNKNOWN_PRESET */
  next(nowMs: number): ChunkRequest | undefined {
    this.stop();
    const source = this.#sources.shift();
    if (source === undefined) return undefined;
    this.#sources.push(source);
    this.#download = new RecordDownload(source, recordSizeBytes(this.#request));
    return this.#ask(this.#download, nowMs);
  }

  /**
   * A piece from a peer.
   * @returns the whole record, not verified at this point; or what to ask for next; undefined if nobody asked for it
   */
  receive(from: PartyId, chunk: Chunk, nowMs: number): Uint8Array | ChunkRequest | undefined {
    const download = this.#download;
    if (download?.from !== from) return undefined;
    if (!download.add(chunk)) return this.next(nowMs);
    return download.complete ?? this.#ask(download, nowMs);
  }

  /** The record is here. */
  stop(): void {
    this.#download = undefined;
    this.#deadlineMs = undefined;
    this.#dueMs = undefined;
  }

  #ask(download: RecordDownload, nowMs: number): ChunkRequest {
    this.#deadlineMs = nowMs + CHUNK_ROUNDS * this.#roundMs;
    return { to: download.from, offset: download.offset };
  }
}
