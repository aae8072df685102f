import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { Link, LinkService, Listener } from '../../shared/link.ts';
import { assertPathFits, connectTo, listenAt } from './socket-file.ts';

/**
 * The link of a mock enclave: one socket file per service in a directory that both processes know. The directory's
 * permissions are the only access control, which is as much as AF_VSOCK gives: nothing on the link is trusted.
 * The enclave has its own copy of this: what is measured shares no platform code with what is not.
 */
export class UnixLink implements Link<Socket> {
  readonly #directory: string;

  /** @throws {KmsError} BAD_INPUT if the directory's path is too long for a unix socket */
  constructor(directory: string) {
    assertPathFits(join(directory, 'ingress.sock'));
    this.#directory = directory;
  }

  listen(service: LinkService, onStream: (stream: Socket) => void): Promise<Listener> {
    return listenAt(this.#path(service), onStream);
  }

  connect(service: LinkService): Promise<Socket> {
    return connectTo(this.#path(service));
  }

  #path(service: LinkService): string {
    return join(this.#directory, `${service}.sock`);
  }
}
