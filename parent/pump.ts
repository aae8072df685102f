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
  /** A large buffer that is still being written from, and is not read into any more. */
  #leaving: Uint8Array | undefined;
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
    const held = [this.#leaving, this.#buffer].filter((one) => one !== undefined && one !== this.#small);
    for (const buffer of held) {
      // The system may still look at what it was to write.
      if (buffer === undefined || this.#isWriting) this.#buffers.drop();
      else this.#buffers.give(buffer);
    }
    this.#leaving = undefined;
    this.#buffer = undefined;
  }

  /** Whoever has ended takes nothing any more. @returns whether there may be more at once */
  #forward(bytes: Uint8Array, written: () => void = () => {}): boolean {
    const [from, to] = [this.#from, this.#to];
    this.#bytes += bytes.length;
    this.#lastBytes = bytes.length;
    this.#moved();
    if (from === undefined || to === undefined || to.destroyed || to.readableEnded) {
      return false;
    }
    this.#isWriting = true;
    to.write(bytes, (error) => {
      written();
      if (error || to.writableLength > 0) return;
      const wasStopped = this.#isWriting;
      this.#release();
      this.#moved();
      if (wasStopped) from.resume();
    });
    // Zero: the system has taken everything at once.
    if (to.writableLength > 0) return false;
    this.#release();
    return true;
  }

  #release(): void {
    this.#isWriting = false;
    if (this.#leaving !== undefined) this.#buffers.give(this.#leaving);
    this.#leaving = undefined;
  }

  /** Large while what arrives fills a small one. */
  #next(): Uint8Array {
    this.#small ??= Buffer.allocUnsafeSlow(SMALL_BYTES);
    if (this.#to === undefined) return this.#small;
    const buffer = this.#buffer ?? this.#small;
    const isLarge = buffer !== this.#small;
    if (isLarge && this.#lastBytes < SMALL_BYTES) {
      if (this.#isWriting) this.#leaving = buffer;
      else this.#buffers.give(buffer);
      this.#buffer = this.#small;
    } else if (!isLarge && this.#lastBytes >= SMALL_BYTES) {
      this.#buffer = this.#buffers.take() ?? this.#small;
    } else this.#buffer = buffer;
    return this.#buffer;
  }
}

/** Gives memory back now: collecting it later, when there is much of it, costs more than carrying it. */
function free({ buffer, byteLength }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}
