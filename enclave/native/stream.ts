import { Duplex } from 'node:stream';
import { AGAIN, type NativeAddon, type NativeWatch, READABLE, systemError, WRITABLE } from './addon.ts';

const CHUNK_BYTES = 65_536;
/** Reads in a row before other streams have their turn. */
const READS_PER_TURN = 8;

/** Shared by all streams: it holds bytes only between read() and the copy after it. */
const scratch = new Uint8Array(CHUNK_BYTES);

interface PendingWrite {
  readonly chunks: readonly Uint8Array[];
  readonly done: (error?: Error | null) => void;
  chunk: number;
  from: number;
}

/**
 * A connected descriptor as a stream with back pressure on both sides: it reads only while somebody takes the data, and a
 * write is done when the system has taken the bytes.
 * Half-closed streams do not exist: end() closes both directions once everything is written, and so does the other side's
 * end. Whoever needs to know that a message was whole puts that into the message.
 */
export class NativeStream extends Duplex {
  readonly #addon: NativeAddon;
  readonly #descriptor: number;
  readonly #watch: NativeWatch;
  #interest = 0;
  #pending: PendingWrite | undefined;

  /** Owns the descriptor from here on. @throws {Error} if it cannot be watched; it is closed then */
  constructor(addon: NativeAddon, descriptor: number) {
    super({ allowHalfOpen: false, highWaterMark: CHUNK_BYTES });
    this.#addon = addon;
    this.#descriptor = descriptor;
    const watch = addon.watch(descriptor, (status, events) => this.#onReady(status, events));
    if (typeof watch === 'number') {
      addon.close(descriptor);
      throw systemError('poll', watch);
    }
    this.#watch = watch;
  }

  override _read(): void {
    this.#want(this.#interest | READABLE);
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error | null) => void): void {
    this.#begin({ chunks: [chunk], done, chunk: 0, from: 0 });
  }

  override _writev(items: { readonly chunk: Uint8Array }[], done: (error?: Error | null) => void): void {
    this.#begin({ chunks: items.map(({ chunk }) => chunk), done, chunk: 0, from: 0 });
  }

  override _final(done: (error?: Error | null) => void): void {
    done();
    setImmediate(() => this.destroy());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#addon.unwatch(this.#watch);
    this.#addon.close(this.#descriptor);
    const pending = this.#pending;
    this.#pending = undefined;
    done(error);
    pending?.done(error ?? systemError('write', ECANCELED));
  }

  #onReady(status: number, events: number): void {
    if (this.destroyed) return;
    if (status < 0) {
      this.#onBroken();
      return;
    }
    if ((events & WRITABLE) !== 0) this.#flush();
    if ((events & READABLE) !== 0) this.#fill();
  }

  /**
   * The connection is broken and the watch at rest. What arrived before can still be read; the calls themselves tell the
   * error.
   */
  #onBroken(): void {
    const wasReading = (this.#interest & READABLE) !== 0;
    this.#interest = 0;
    this.#flush();
    const isEmpty = wasReading && !this.destroyed && this.#fill() === AGAIN;
    if (isEmpty || (this.#interest & WRITABLE) !== 0) this.destroy(systemError('poll', ECONNRESET));
  }

  /** @returns what the last read() gave */
  #fill(): number {
    let size = 0;
    for (let turn = 0; turn < READS_PER_TURN && !this.destroyed; turn++) {
      size = this.#addon.read(this.#descriptor, scratch);
      if (size === AGAIN) return size;
      if (size < 0) {
        this.destroy(systemError('read', size));
        return size;
      }
      if (size === 0) {
        this.#want(this.#interest & ~READABLE);
        this.push(null);
        return size;
      }
      if (!this.push(Buffer.from(scratch.subarray(0, size)))) {
        this.#want(this.#interest & ~READABLE);
        return size;
      }
    }
    this.#want(this.#interest | READABLE);
    return size;
  }

  #begin(pending: PendingWrite): void {
    this.#pending = pending;
    this.#flush();
  }

  #flush(): void {
    const pending = this.#pending;
    if (pending === undefined) return;
    for (; pending.chunk < pending.chunks.length; pending.chunk++, pending.from = 0) {
      const bytes = pending.chunks[pending.chunk] ?? new Uint8Array(0);
      while (pending.from < bytes.length) {
        const size = this.#addon.write(this.#descriptor, bytes, pending.from);
        if (size === AGAIN) {
          this.#want(this.#interest | WRITABLE);
          return;
        }
        if (size < 0) {
          this.#finish(pending, systemError('write', size));
          return;
        }
        pending.from += size;
      }
    }
    this.#finish(pending, null);
  }

  #finish(pending: PendingWrite, error: Error | null): void {
    this.#pending = undefined;
    this.#want(this.#interest & ~WRITABLE);
    pending.done(error);
  }

  #want(interest: number): void {
    if (this.destroyed || interest === this.#interest) return;
    this.#interest = interest;
    const status = this.#addon.interest(this.#watch, interest);
    if (status < 0) this.destroy(systemError('poll', status));
  }
}

const ECANCELED = -125;
const ECONNRESET = -104;
