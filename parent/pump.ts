import type { Duplex } from 'node:stream';
import { readingInto } from './own-buffer.ts';
import { type ReadBuffers, SMALL_BYTES } from './read-buffers.ts';

/** What one pump holds at most, but for a large buffer: a full write buffer and the chunk that filled it. */
export const PUMP_BYTES: number = 2 * SMALL_BYTES;

/**
 * One direction: reads from one stream what the other takes. At most one buffer is under way; while the system has not
 * taken all of it nothing is read, so that a slow reader stops the sender and costs no memory.
 */
export class Pump {
  readonly #buffers: ReadBuffers;
  readonly #moved: () => void;
  #small: Uint8Array | undefined;
  /** What is read into. */
  #buffer: Uint8Array | undefined;
  #from: Duplex | undefined;
  #to: Duplex | undefined;
  #lastBytes = 0;
  #bytes = 0;
  #isWriting = false;

  /** @param moved called whenever bytes were read or written */
  constructor(buffers: ReadBuffers, moved: () => void) {
    this.#buffers = buffers;
    this.#moved = moved;
  }

  /** Read from the source so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Nothing is waiting to be written. */
  get flushed(): boolean {
    return !this.#isWriting;
  }

  /** @returns the stream to use in place of the source from now on */
  readFrom(source: Duplex): Duplex {
    const heir = readingInto(source, {
      buffer: () => this.#next(),
      callback: (sizeBytes, buffer) => this.#forward(buffer.subarray(0, sizeBytes)),
    });
    this.#from = heir ?? source;
    return this.#from;
  }

  /** Both ends are there: begins, with what the source had read before. */
  writeTo(sink: Duplex, source: Duplex): void {
    this.#to = sink;
    const from = this.#from;
    if (from === undefined || from === source) {
      source.on('data', (chunk: Buffer) => {
        if (!this.#forward(chunk, () => free(chunk))) source.pause();
      });
      source.resume();
      return;
    }
    for (let early = source.read(); Buffer.isBuffer(early); early = source.read()) this.#forward(early);
    if (!this.#isWriting) from.resume();
  }

  /** Both ends are gone. */
  end(): void {
    this.#to = undefined;
    if (this.#isLarge) {
      // The system may still look at what it was to write.
      if (this.#buffer === undefined || this.#isWriting) this.#buffers.drop();
      else this.#buffers.give(this.#buffer);
    }
    this.#buffer = undefined;
  }

  /** @returns whether there may be more at once */
  #forward(bytes: Uint8Array, written: () => void = () => {}): boolean {
    const [from, to] = [this.#from, this.#to];
    this.#bytes += bytes.length;
    this.#lastBytes = bytes.length;
    this.#moved();
    if (from === undefined || to === undefined || to.destroyed) return false;
    this.#isWriting = true;
    to.write(bytes, (error) => {
      written();
      if (error || to.writableLength > 0) return;
      const wasStopped = this.#isWriting;
      this.#isWriting = false;
      this.#moved();
      if (wasStopped) from.resume();
    });
    // Zero: the system has taken everything at once.
    if (to.writableLength > 0) return false;
    this.#isWriting = false;
    return true;
  }

  /** Large while what arrives fills a small one. */
  #next(): Uint8Array {
    this.#small ??= Buffer.allocUnsafeSlow(SMALL_BYTES);
    if (this.#to === undefined) return this.#small;
    if (this.#isLarge && this.#buffer !== undefined) {
      if (this.#lastBytes >= SMALL_BYTES || this.#isWriting) return this.#buffer;
      this.#buffers.give(this.#buffer);
      this.#buffer = this.#small;
    } else if (this.#lastBytes >= SMALL_BYTES) {
      // A small one that is still being written from is not read into before that is done.
      this.#buffer = this.#buffers.take() ?? this.#small;
    }
    return this.#buffer ?? this.#small;
  }

  get #isLarge(): boolean {
    return this.#buffer !== undefined && this.#buffer !== this.#small;
  }
}

/** Gives memory back now: collecting it later, when there is much of it, costs more than carrying it. */
function free({ buffer, byteLength }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}
