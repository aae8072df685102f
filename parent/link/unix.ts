import { rm } from 'node:fs/promises';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { KmsError } from '../../shared/errors.ts';
import type { Link, LinkService, Listener } from '../../shared/link.ts';

/** A unix socket's path has at most 107 bytes on Linux, 103 on macOS. */
const MAX_PATH_BYTES = 103;
const CONNECT_TIMEOUT_MS = 2_000;

/**
 * The link of a mock enclave: one socket file per service in a directory that both processes know. The directory's
 * permissions are the only access control, which is as much as AF_VSOCK gives: nothing on the link is trusted.
 * The enclave has its own copy of this: what is measured shares no platform code with what is not.
 */
export class UnixLink implements Link<Socket> {
  readonly #directory: string;

  /** @throws {KmsError} BAD_INPUT if the directory's path is too long for a unix socket */
  constructor(directory: string) {
    if (Buffer.byteLength(join(directory, 'ingress.sock')) > MAX_PATH_BYTES) {
      throw new KmsError('BAD_INPUT', `socket directory ${directory} is too long; choose one under /tmp`);
    }
    this.#directory = directory;
  }

  async listen(service: LinkService, onStream: (stream: Socket) => void): Promise<Listener> {
    const path = this.#path(service);
    const server = createServer({ allowHalfOpen: false }, onStream);
    try {
      await listening(server, path);
    } catch (error) {
      if (!isAddressInUse(error)) throw unavailable(service, error);
      await this.#removeStale(service);
      await listening(server, path).catch((cause: unknown) => {
        throw unavailable(service, cause);
      });
    }
    return {
      close: async () => {
        server.close();
      },
    };
  }

  connect(service: LinkService): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = createConnection({ path: this.#path(service), allowHalfOpen: false });
      const timer = setTimeout(() => {
        socket.destroy();
        reject(new KmsError('TIMEOUT', `link service ${service} does not accept`));
      }, CONNECT_TIMEOUT_MS);
      // Stays for good: an error also closes the stream, and that is how its user learns.
      socket.on('error', (cause) => {
        clearTimeout(timer);
        reject(unavailable(service, cause));
      });
      socket.once('connect', () => {
        clearTimeout(timer);
        resolve(socket);
      });
    });
  }

  /** A process that was killed leaves its socket file behind. @throws {KmsError} BUSY if it lives */
  async #removeStale(service: LinkService): Promise<void> {
    const living = await this.connect(service).catch(() => undefined);
    if (living !== undefined) {
      living.destroy();
      throw new KmsError('BUSY', `another process serves ${service} in ${this.#directory}`);
    }
    await rm(this.#path(service), { force: true });
  }

  #path(service: LinkService): string {
    return join(this.#directory, `${service}.sock`);
  }
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

function unavailable(service: LinkService, cause: unknown): KmsError {
  return new KmsError('UNAVAILABLE', `link service ${service} cannot be reached`, { cause });
}
