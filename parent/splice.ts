import type { Socket } from 'node:net';

/** What one splice can hold in its stream buffers: each way a full write buffer and the chunk that filled it. */
export const SPLICE_BUFFER_BYTES = 4 * 64 * 1024;

/** Two sockets piped into each other. */
export interface Splice {
  /** Bytes that were read from the two sides so far. */
  readonly bytes: { readonly fromA: number; readonly fromB: number };
  /** Nothing is waiting to be written. */
  readonly flushed: boolean;
  end(): void;
}

/**
 * Pipes two sockets into each other until either ends; what was read by then is still written, then both are destroyed.
 * Chunks are handed on as they were read, without a copy, and a slow reader stops the reading on the other side.
 * @param idleMs no byte in either direction for so long ends both
 * @param ended called once
 */
export function splice(a: Socket, b: Socket, idleMs: number, ended: (idle: boolean) => void): Splice {
  let over = false;
  const finish = (idle: boolean): void => {
    if (over) return;
    over = true;
    a.destroy();
    b.destroy();
    ended(idle);
  };
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.setNoDelay(true);
    // A socket's timer is reset by its reads and writes, so silence on one side of the pipe is silence on both.
    from.setTimeout(idleMs, () => finish(true));
    from.on('data', (chunk) => {
      if (!to.write(chunk)) from.pause();
    });
    to.on('drain', () => from.resume());
    from.once('end', () => to.end(() => finish(false)));
    from.once('error', () => finish(false));
    // After an end the other side is still being written to.
    from.once('close', () => {
      if (!from.readableEnded || to.destroyed) finish(false);
    });
    // Whoever accepted the socket may have paused it until there was somewhere to go.
    from.resume();
  }
  return {
    get bytes() {
      return { fromA: a.bytesRead, fromB: b.bytesRead };
    },
    get flushed() {
      return a.writableLength === 0 && b.writableLength === 0;
    },
    end: () => finish(false),
  };
}
