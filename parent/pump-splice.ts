import type { Duplex } from 'node:stream';
import { whenIdle } from './idle.ts';
import { Pump } from './pump.ts';
import type { ReadBuffers } from './read-buffers.ts';
import type { Splice } from './splice.ts';

/** splice() in this process: reads and writes, by node's streams. */
export function pumpSplice(
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
  const [sideA, sideB] = [there.readFrom(a), back.readFrom(b)];

  let over = false;
  const finish = (idle: boolean): void => {
    if (over) return;
    over = true;
    endWatch();
    for (const stream of [sideA, sideB, a, b]) stream.destroy();
    there.end();
    back.end();
    ended(idle);
  };
  const endWatch = whenIdle(
    idleMs,
    () => performance.now() - movedAtMs,
    () => finish(true),
  );

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
