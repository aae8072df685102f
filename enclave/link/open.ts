import type { Duplex } from 'node:stream';
import type { Link } from '../../shared/link.ts';
import { IMAGE_ADDON, loadAddon } from '../native/addon.ts';
import { UnixLink } from './unix.ts';
import { VsockLink, vsockAddresses } from './vsock.ts';

/** How an enclave and its parent meet; whichever it is, nothing on it is trusted. */
export type LinkConfig =
  | { readonly kind: 'unix'; readonly socketDirectory: string }
  | { readonly kind: 'vsock'; readonly parentCid: number };

/** @throws {KmsError} BAD_INPUT, UNAVAILABLE without the native layer that vsock needs */
export function openLink(config: LinkConfig): Link<Duplex> {
  if (config.kind === 'unix') return new UnixLink(config.socketDirectory);
  return new VsockLink(loadAddon(IMAGE_ADDON), vsockAddresses(config.parentCid));
}
