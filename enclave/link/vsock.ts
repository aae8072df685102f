import { KmsError } from '../../shared/errors.ts';
import type { Link, LinkService, Listener } from '../../shared/link.ts';
import { ANY_CID, type NativeAddon, type NativeAddress } from '../native/addon.ts';
import { connectNative, listenNative } from '../native/listener.ts';
import type { NativeStream } from '../native/stream.ts';

/** The parent of a Nitro enclave. Emulators call theirs 2. */
export const PARENT_CID = 3;

/** AF_VSOCK ports; the parent listens and connects to the same. */
export const VSOCK_PORTS: Readonly<Record<LinkService, number>> = { ingress: 5001, egress: 5002 };

const CONNECT_TIMEOUT_MS = 2_000;

/** Where this side listens and where it connects. */
export interface LinkAddresses {
  readonly own: (service: LinkService) => NativeAddress;
  readonly other: (service: LinkService) => NativeAddress;
}

export function vsockAddresses(parentCid: number = PARENT_CID): LinkAddresses {
  return {
    own: (service) => ({ cid: ANY_CID, port: VSOCK_PORTS[service] }),
    other: (service) => ({ cid: parentCid, port: VSOCK_PORTS[service] }),
  };
}

/** The link of an enclave image, over the native layer. Nothing on it is trusted. */
export class VsockLink implements Link<NativeStream> {
  readonly #addon: NativeAddon;
  readonly #addresses: LinkAddresses;

  constructor(addon: NativeAddon, addresses: LinkAddresses = vsockAddresses()) {
    this.#addon = addon;
    this.#addresses = addresses;
  }

  async listen(service: LinkService, onStream: (stream: NativeStream) => void): Promise<Listener> {
    const close = attempt(service, () =>
      listenNative(this.#addon, this.#addresses.own(service), (stream) => onStream(guarded(stream))),
    );
    return { close: async () => close() };
  }

  async connect(service: LinkService): Promise<NativeStream> {
    try {
      return guarded(await connectNative(this.#addon, this.#addresses.other(service), CONNECT_TIMEOUT_MS));
    } catch (cause) {
      throw linkError(service, cause);
    }
  }
}

/** An error also closes the stream, and that is how its user learns. */
function guarded(stream: NativeStream): NativeStream {
  return stream.on('error', () => {});
}

function attempt<T>(service: LinkService, effect: () => T): T {
  try {
    return effect();
  } catch (cause) {
    throw linkError(service, cause);
  }
}

function linkError(service: LinkService, cause: unknown): KmsError {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === 'EADDRINUSE') return new KmsError('BUSY', `another process serves ${service}`, { cause });
  if (code === 'ETIMEDOUT')
    return new KmsError('TIMEOUT', `link service ${service} does not accept`, { cause });
  return new KmsError('UNAVAILABLE', `link service ${service} cannot be reached`, { cause });
}
