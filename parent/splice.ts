import type { Socket } from 'node:net';
import { pipeline } from 'node:stream';

/**
 * Pipes two sockets into each other until either ends, then destroys both. At most two stream buffers (the high-water
 * marks) are held for each direction: a slow reader stops the reading on the other side.
 * @param idleMs no byte in either direction for so long ends both
 * @param ended called once
 */
export function splice(a: Socket, b: Socket, idleMs: number, ended: (idle: boolean) => void): void {
  let over = false;
  let idle = false;
  const end = (): void => {
    if (over) return;
    over = true;
    a.destroy();
    b.destroy();
    ended(idle);
  };
  // A socket's timer is reset by its reads and writes, so silence on one side of the pipe is silence on both.
  for (const socket of [a, b]) {
    socket.setTimeout(idleMs, () => {
      idle = true;
      end();
    });
    socket.setNoDelay(true);
  }
  pipeline(a, b, end);
  pipeline(b, a, end);
}
