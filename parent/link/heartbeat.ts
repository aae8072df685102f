import type { Socket } from 'node:net';
import type { Listener } from '../../shared/link.ts';
import { listenAt } from './socket-file.ts';

/** Where an enclave's init says that it has come up. */
export const HEARTBEAT_PORT = 9000;
/** What it sends, and waits to get back before it goes on. */
const HEARTBEAT = Buffer.of(0xb7);
/** For the byte to come, and for the enclave to close. */
const TIMEOUT_MS = 5_000;
const MAX_CONNECTIONS = 4;

/** Sends back the byte that an enclave's init sends. @throws {KmsError} BUSY, UNAVAILABLE */
export function answerHeartbeats(path: string): Promise<Listener> {
  let connections = 0;
  return listenAt(path, (stream) => {
    stream.on('error', () => {});
    if (connections >= MAX_CONNECTIONS) {
      stream.destroy();
      return;
    }
    connections += 1;
    stream.once('close', () => {
      connections -= 1;
    });
    answer(stream);
  });
}

function answer(stream: Socket): void {
  const timer = setTimeout(() => stream.destroy(), TIMEOUT_MS);
  stream.once('close', () => clearTimeout(timer));
  stream.once('data', (bytes: Buffer) => {
    if (bytes.equals(HEARTBEAT)) stream.write(HEARTBEAT);
    else stream.destroy();
  });
}
