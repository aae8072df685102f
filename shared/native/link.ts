import { KmsError } from '../errors.ts';
import type { Link, LinkService, Listener } from '../link.ts';
import type { NativeAddress } from './addon.ts';
import type { NativeSockets } from './sockets.ts';

/** AF_VSOCK ports. The parent listens for `egress`, the enclave for the others. */
export const VSOCK_PORTS: Readonly<Record<LinkService, number>> = {
  ingress: 5001,
  egress: 5002,
  members: 5003,
};

const CONNECT_TIMEOUT_MS = 2_000;

/** Where this side listens and where it connects. */
export interface LinkAddresses {
  readonly own: (service: LinkService) => NativeAddress;
  readonly other: (service: LinkService) => NativeAddress;
  /** Nobody else's streams are taken: on a host any virtual machine reaches any port. */
  readonly onlyCid?: number;
}

/** The link between an enclave image and its parent, over the native layer. Nothing on it is trusted. */
export class NativeLink<Stream> implements Link<Stream> {
  readonly #sockets: NativeSockets<Stream>;
  readonly #addresses: LinkAddresses;

  constructor(sockets: NativeSockets<Stream>, addresses: LinkAddresses) {
    this.#sockets = sockets;
    this.#addresses = addresses;
  }

  async listen(service: LinkService, onStream: (stream: Stream) => void): Promise<Listener> {
    try {
      const { own, onlyCid } = this.#addresses;
      const close = this.#sockets.listen(own(service), onStream, onlyCid);
      return { close: async () => close() };
    } catch (cause) {
      throw linkError(service, cause);
    }
  }

  async connect(service: LinkService): Promise<Stream> {
    try {
      return await this.#sockets.connect(this.#addresses.other(service), CONNECT_TIMEOUT_MS);
    } catch (cause) {
      throw linkError(service, cause);
    }
  }
}

function linkError(service: LinkService, cause: unknown): KmsError {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === 'EADDRINUSE') return new KmsError('BUSY', `another process serves ${service}`, { cause });
  if (code === 'ETIMEDOUT') {
    return new KmsError('TIMEOUT', `link service ${service} does not accept`, { cause });
  }
  return new KmsError('UNAVAILABLE', `link service ${service} cannot be reached`, { cause });
}
