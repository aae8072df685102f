import { ANY_CID, type NativeAddon } from '../../shared/native/addon.ts';
import { type LinkAddresses, NativeLink, VSOCK_PORTS } from '../../shared/native/link.ts';
import { nativeSockets } from '../native/listener.ts';
import type { NativeStream } from '../native/stream.ts';

export type { LinkAddresses } from '../../shared/native/link.ts';
export { VSOCK_PORTS } from '../../shared/native/link.ts';

/** The parent of a Nitro enclave. Emulators call theirs 2. */
export const PARENT_CID = 3;

export function vsockAddresses(parentCid: number = PARENT_CID): LinkAddresses {
  return {
    own: (service) => ({ cid: ANY_CID, port: VSOCK_PORTS[service] }),
    other: (service) => ({ cid: parentCid, port: VSOCK_PORTS[service] }),
  };
}

/** The link of an enclave image, over the native layer. Nothing on it is trusted. */
export class VsockLink extends NativeLink<NativeStream> {
  constructor(addon: NativeAddon, addresses: LinkAddresses = vsockAddresses()) {
    super(nativeSockets(addon), addresses);
  }
}
