import type { LinkService } from '../../shared/link.ts';
import { ANY_CID, type NativeAddon } from '../../shared/native/addon.ts';
import { type LinkAddresses, NativeLink } from '../../shared/native/link.ts';
import { nativeSockets } from '../native/addon.ts';
import type { NativeStream } from '../native/stream.ts';

export type LinkPorts = Readonly<Record<LinkService, number>>;

/** Streams go to the enclave of this context alone, and are taken from no other. */
export function enclaveAddresses(enclaveCid: number, ports: LinkPorts): LinkAddresses {
  return {
    own: (service) => ({ cid: ANY_CID, port: ports[service] }),
    other: (service) => ({ cid: enclaveCid, port: ports[service] }),
    onlyCid: enclaveCid,
  };
}

/** The link to an enclave on this host. The heartbeat of its init is answered by nitro-cli, not here. */
export class VsockLink extends NativeLink<NativeStream> {
  constructor(addon: NativeAddon, addresses: LinkAddresses) {
    super(nativeSockets(addon), addresses);
  }
}
