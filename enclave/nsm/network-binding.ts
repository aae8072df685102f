import { isZero, NETWORK_PCR, networkPcr } from '../../shared/attestation/pcr.ts';
import { KmsError } from '../../shared/errors.ts';
import type { Digest } from '../../shared/ids.ts';
import { PCR_BYTES } from '../../shared/network/measurement.ts';
import { equalBytes, fromHex } from '../../shared/wire/bytes.ts';
import type { Nsm } from './nsm.ts';

/**
 * Extends PCR16 by the network id and locks it, so that every later document of this boot belongs to that network alone.
 * Repeating it for the same network changes nothing, also after an interruption between the two steps.
 * @throws {KmsError} BAD_INPUT if this boot is bound to something else already; as Nsm
 */
export async function bindToNetwork(nsm: Nsm, networkId: Digest): Promise<void> {
  const expected = await networkPcr(networkId);
  let { isLocked, value } = await nsm.describePcr(NETWORK_PCR);
  if (!isLocked && value.length === PCR_BYTES && isZero(value)) {
    value = await nsm.extendPcr(NETWORK_PCR, fromHex(networkId));
  }
  if (!equalBytes(value, expected)) {
    throw new KmsError('BAD_INPUT', 'this boot is bound to another network; start the enclave anew');
  }
  if (!isLocked) {
    await nsm.lockPcr(NETWORK_PCR);
    isLocked = (await nsm.describePcr(NETWORK_PCR)).isLocked;
  }
  if (!isLocked) throw new KmsError('UNAVAILABLE', `the security module does not lock PCR${NETWORK_PCR}`);
}
