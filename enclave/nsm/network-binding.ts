import type { Digest } from '../../shared/ids.ts';
import type { Nsm } from './nsm.ts';

/**
 * Extends PCR16 by the network id and locks it, so that every later document of this boot belongs to that network alone.
 * Repeating it for the same network changes nothing.
 * @throws {KmsError} BAD_INPUT if this boot is bound to another network already
 */
export async function bindToNetwork(nsm: Nsm, networkId: Digest): Promise<void> {
  void [nsm, networkId];
}
