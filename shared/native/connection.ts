import {
  AGAIN,
  CANCELED,
  CONNECTION_RESET,
  type NativeAddon,
  type NativeWatch,
  READABLE,
  type SystemError,
  WRITABLE,
} from './addon.ts';

export const CHUNK_BYTES = 65_536;
/** Reads in a row before other connections have their turn. */
const READS_PER_TURN = 8;

/** Shared by all connections: it holds bytes only between read() and the copy after it. */
const scratch = new Uint8Array(CHUNK_BYTES);

/** What becomes of what the connection brings. */
export interface ConnectionUser {
  /** @param bytes the user's own. @returns whether there may be more before the next read() */
  onBytes(bytes: Uint8Array): boolean;
  onEnd(): void;
  /** The connection is broken; its user closes it. */
  onError(error: Error): void;
}

type Done = (error?: Error | null) => void;

interface PendingWrite {
  readonly chunks: readonly Uint8Array[];
  readonly done: Done;
  chunk: number;
  from: number;
}

/**
 * A connected descriptor with back pressure on both sides: it reads only while its user asks for more, and a write is done
 * when the system has taken the bytes. Half-closed connections do not exist.
 */
export class NativeConnection {
  readonly #addon: NativeAddon;
  readonly #descriptor: number;
  readonly #watch: NativeWatch;
  readonly #user: ConnectionUser;
  readonly #systemError: SystemError;
  #interest = 0;
  #pending: PendingWrite | undefined;
  #closed = false;

  /** Owns the descriptor from here on. @throws {Error} if it cannot be watched; it is closed then */
  constructor(addon: NativeAddon, systemError: SystemError, descriptor: number, user: ConnectionUser) {
    this.#addon = addon;
    this.#descriptor = descriptor;
    this.#user = user;
    this.#systemError = systemError;
    const watch = addon.watch(descriptor, (status, events) => this.#onReady(status, events));
    if (typeof watch === 'number') {
      addon.close(descriptor);
      throw systemError('poll', watch);
    }
    this.#watch = watch;
  }

  read(): void {
    this.#want(this.#interest | READABLE);
  }

  get descriptor(): number {
    return this.#descriptor;
  }

  /** Until the next read(). */
  rest(): void {
    this.#want(this.#interest & ~READABLE);
  }

  /** One at a time. @param done called once, with an error if the connection broke or was closed before */
  write(chunks: readonly Uint8Array[], done: Done): void {
    this.#pending = { chunks, done, chunk: 0, from: 0 };
    this.#flush();
  }

  /** Closes both directions. @returns what a write that was under way is to be told, undefined if none was */
  close(): Done | undefined {
    if (this.#closed) return undefined;
    this.#closed = true;
    this.#addon.unwatch(this.#watch);
    this.#addon.close(this.#descriptor);
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending === undefined) return undefined;
    return (error) => pending.done(error ?? this.#systemError('write', CANCELED));
  }

  #onReady(status: number, events: number): void {
    if (this.#closed) return;
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
    const isEmpty = wasReading && !this.#closed && this.#fill() === AGAIN;
    if (isEmpty || (this.#interest & WRITABLE) !== 0) {
      this.#user.onError(this.#systemError('poll', CONNECTION_RESET));
    }
  }

  /** @returns what the last read() gave */
  #fill(): number {
    let size = 0;
    for (let turn = 0; turn < READS_PER_TURN && !this.#closed; turn++) {
      size = this.#addon.read(this.#descriptor, scratch);
      if (size === AGAIN) return size;
      if (size < 0) {
        this.#user.onError(this.#systemError('read', size));
        return size;
      }
      if (size === 0) {
        this.#want(this.#interest & ~READABLE);
        this.#user.onEnd();
        return size;
      }
      if (!this.#user.onBytes(scratch.slice(0, size))) {
        this.#want(this.#interest & ~READABLE);
        return size;
      }
    }
    this.#want(this.#interest | READABLE);
    return size;
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
          this.#finish(pending, this.#systemError('write', size));
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
    if (this.#closed || interest === this.#interest) return;
    this.#interest = interest;
    const status = this.#addon.interest(this.#watch, interest);
    if (status < 0) this.#user.onError(this.#systemError('poll', status));
  }
}
