import { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';

/** More than any HTTP/2 window given here, so that only a peer outside the rules ever meets it. */
const MAX_QUEUED_BYTES = 32 * 2 ** 20;

/**
 * A TLS socket for HTTP/2 whose writes complete at once. Node's HTTP/2 stops reading while a write is in progress; two
 * sides that write more than the path buffers would then wait for each other for ever. What is queued here is bounded by
 * the peer's flow-control windows, and by a limit in case the peer opens them without end.
 */
export class DecoupledSocket extends Duplex {
  readonly #socket: TLSSocket;

  /** Takes the socket over: nobody else may read or write it. Destroying either destroys both. */
  constructor(socket: TLSSocket) {
    super({ allowHalfOpen: false });
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) socket.pause();
    });
    socket.once('end', () => this.push(null));
    socket.once('close', () => this.destroy());
    socket.on('error', () => this.destroy());
    if (socket.destroyed) this.destroy();
    // An error here only says that the connection is over, which `close` says too.
    this.on('error', () => {});
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#socket.destroyed) {
      done();
      return;
    }
    this.#socket.write(chunk);
    this.#afterWrite(done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    if (this.#socket.destroyed) {
      done();
      return;
    }
    this.#socket.cork();
    for (const { chunk } of chunks) this.#socket.write(chunk);
    this.#socket.uncork();
    this.#afterWrite(done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }

  #afterWrite(done: () => void): void {
    if (this.#socket.writableLength < MAX_QUEUED_BYTES) done();
    else this.#socket.once('drain', done);
  }
}
