import { getSystemErrorName } from 'node:util';
import { KmsError } from '../../shared/errors.ts';
import { IMAGE_ADDON, loadAddon } from '../native/addon.ts';
import { NsmClient, type NsmTransport } from '../nsm/client.ts';
import { systemRng } from '../primitives.ts';
import type { OpenPlatform } from './platform.ts';

const SEALING_KEY_BYTES = 32;

/**
 * A Nitro enclave, or one under emulation: documents come from /dev/nsm.
 * The sealing key is drawn anew at each boot and kept nowhere, so that records end with the boot that wrote them: an enclave's
 * disk is memory anyway. Records that outlive a boot need a key from outside (enclave.md section 3).
 */
export const openPlatform: OpenPlatform = async () => {
  const nsm = new NsmClient(deviceTransport());
  const key = systemRng(SEALING_KEY_BYTES);
  // Fails now rather than at the first request if the device is not there.
  await nsm.describe();
  return { name: 'nitro', nsm, sealingKey: async () => key.slice() };
};

function deviceTransport(): NsmTransport {
  const addon = loadAddon(IMAGE_ADDON);
  return async (request) => {
    const answer = await addon.nsm(request);
    if (typeof answer !== 'number') return answer;
    throw new KmsError('UNAVAILABLE', `/dev/nsm answers ${getSystemErrorName(answer)}`);
  };
}
