import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { PUMP_BYTES, Pump } from './pump.ts';
import type { ReadBuffers } from './read-buffers.ts';

/** What one splice can hold in buffers of its own. */
export const SPLICE_BUFFER_BYTES: number = 2 * PUMP_BYTES;

/** Two streams piped into each other. */
export interface Splice {
  /** Bytes that were read from the two sides so far. */
  readonly bytes: { readonly fromA: number; readonly fromB: number };
  /** Nothing is waiting to be written. */
  readonly flushed: boolean;
  end(): void;
}

/**
 * Pipes two streams into each other until either ends; what was read by then is still written, then both are destroyed.
 * A slow reader stops the reading on the other side.
 * @param idleMs ends both if in so long nothing was read, and no reader took what was waiting for it
 * @param ended called once
 */
export function splice(
  a: Duplex,
  b: Duplex,
  buffers: ReadBuffers,
  idleMs: number,
  ended: (idle: boolean) => void,
): Splice {
  let movedAtMs = performance.now();
  const moved = (): void => {
    movedAtMs = performance.now();
  };
  const [there, back] = [new Pump(buffers, moved), new Pump(buffers, moved)];
  for (const stream of [a, b]) if (stream instanceof Socket) stream.setNoDelay(true);
  const [sideA, sideB] = [there.readFrom(a), back.readFrom(b)];

  let over = false;
  const finish = (idle: boolean): void => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    for (const stream of [sideA, sideB, a, b]) stream.destroy();
    there.end();
    back.end();
    ended(idle);
  };
  const watch = (): void => {
    const leftMs = movedAtMs + idleMs - performance.now();
    if (leftMs <= 0) finish(true);
    else timer = setTimeout(watch, leftMs);
  };
  let timer = setTimeout(watch, idleMs);

  for (const [from, to] of [
    [sideA, sideB],
    [sideB, sideA],
  ] as const) {
    from.once('end', () => to.end(() => finish(false)));
    from.on('error', () => finish(false));
    // After an end the other side is still being written to.
    from.once('close', () => {
      if (!from.readableEnded || to.destroyed) finish(false);
    });
  }
  there.writeTo(sideB, a);
  back.writeTo(sideA, b);
  return {
    get bytes() {
      return { fromA: there.bytes, fromB: back.bytes };
    },
    get flushed() {
      return there.flushed && back.flushed;
    },
    end: () => finish(false),
  };
}
