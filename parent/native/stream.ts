import { Duplex } from 'node:stream';
import type { NativeAddon, SystemError } from '../../shared/native/addon.ts';
import { CHUNK_BYTES, NativeConnection } from '../../shared/native/connection.ts';

/**
 * A connected descriptor as a stream with back pressure on both sides.
 * Half-closed streams do not exist: end() closes both directions once everything is written, and so does the other side's
 * end. Whoever needs to know that a message was whole puts that into the message.
 */
export class NativeStream extends Duplex {
  readonly #connection: NativeConnection;

  /** Owns the descriptor from here on. @throws {Error} if it cannot be watched; it is closed then */
  constructor(addon: NativeAddon, systemError: SystemError, descriptor: number) {
    super({ allowHalfOpen: false, highWaterMark: CHUNK_BYTES });
    this.#connection = new NativeConnection(addon, systemError, descriptor, {
      onBytes: (bytes) => this.push(bytes),
      onEnd: () => this.push(null),
      onError: (error) => this.destroy(error),
    });
  }

  /** It remains the stream's. */
  get descriptor(): number {
    return this.#connection.descriptor;
  }

  /** Reads no more until it is asked again. */
  rest(): void {
    this.#connection.rest();
  }

  override _read(): void {
    this.#connection.read();
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error | null) => void): void {
    this.#connection.write([chunk], done);
  }

  override _writev(items: { readonly chunk: Uint8Array }[], done: (error?: Error | null) => void): void {
    this.#connection.write(
      items.map(({ chunk }) => chunk),
      done,
    );
  }

  override _final(done: (error?: Error | null) => void): void {
    done();
    setImmediate(() => this.destroy());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const unwritten = this.#connection.close();
    done(error);
    unwritten?.(error);
  }
}
