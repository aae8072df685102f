import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Link } from '../../shared/link.ts';
import { loadAddon } from '../native/addon.ts';
import { UnixLink } from './unix.ts';
import { VhostLink } from './vhost.ts';
import { enclaveAddresses, type LinkPorts, VsockLink } from './vsock.ts';

/** How a parent and its enclave meet: a mock enclave's sockets, AF_VSOCK, or an emulator's stand-in for it. */
export type LinkConfig =
  | { readonly kind: 'unix'; readonly socketDirectory: string }
  | { readonly kind: 'vsock'; readonly enclaveCid: number; readonly ports: LinkPorts }
  | { readonly kind: 'vhost'; readonly vhostSocket: string; readonly ports: LinkPorts };

/** Where `make native` puts the addon. */
const ADDON = fileURLToPath(new URL('../../out/native/kms.node', import.meta.url));

/** @throws {KmsError} BAD_INPUT, UNAVAILABLE without the native layer that AF_VSOCK needs */
export function openLink(config: LinkConfig): Link<Duplex> {
  switch (config.kind) {
    case 'unix':
      return new UnixLink(config.socketDirectory);
    case 'vsock':
      return new VsockLink(loadAddon(ADDON), enclaveAddresses(config.enclaveCid, config.ports));
    case 'vhost':
      return new VhostLink(config.vhostSocket, config.ports);
  }
}
