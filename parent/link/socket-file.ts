import { rm } from 'node:fs/promises';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { KmsError } from '../../shared/errors.ts';
import type { Listener } from '../../shared/link.ts';

/** A unix socket's path has at most 107 bytes on Linux, 103 on macOS. */
const MAX_PATH_BYTES = 103;
const CONNECT_TIMEOUT_MS = 2_000;

/** @throws {KmsError} BAD_INPUT */
export function assertPathFits(path: string): void {
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    throw new KmsError('BAD_INPUT', `the socket path ${path} is too long; choose a directory under /tmp`);
  }
}

/** @throws {KmsError} BUSY if another process listens there; UNAVAILABLE if it cannot be opened */
export async function listenAt(path: string, onStream: (stream: Socket) => void): Promise<Listener> {
  const server = createServer({ allowHalfOpen: false }, onStream);
  try {
    await listening(server, path);
  } catch (error) {
    if (!isAddressInUse(error)) throw unavailable(path, error);
    await removeStale(path);
    await listening(server, path).catch((cause: unknown) => {
      throw unavailable(path, cause);
    });
  }
  return {
    close: async () => {
      server.close();
    },
  };
}

/** @throws {KmsError} UNAVAILABLE if nobody listens, TIMEOUT */
export function connectTo(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path, allowHalfOpen: false });
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new KmsError('TIMEOUT', `${path} does not accept`));
    }, CONNECT_TIMEOUT_MS);
    // Stays for good: an error also closes the stream, and that is how its user learns.
    socket.on('error', (cause) => {
      clearTimeout(timer);
      reject(unavailable(path, cause));
    });
    socket.once('connect', () => {
      clearTimeout(timer);
      resolve(socket);
    });
  });
}

/** A process that was killed leaves its socket file behind. @throws {KmsError} BUSY if it lives */
async function removeStale(path: string): Promise<void> {
  const living = await connectTo(path).catch(() => undefined);
  if (living !== undefined) {
    living.destroy();
    throw new KmsError('BUSY', `another process serves ${path}`);
  }
  await rm(path, { force: true });
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function isAddressInUse(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
}

function unavailable(path: string, cause: unknown): KmsError {
  return new KmsError('UNAVAILABLE', `${path} cannot be reached`, { cause });
}
