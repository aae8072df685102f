import { getSystemErrorName } from 'node:util';
import { KmsError } from '../../shared/errors.ts';
import { IMAGE_ADDON, loadAddon } from '../native/addon.ts';
import { NsmClient, type NsmTransport } from '../nsm/client.ts';
import type { OpenPlatform } from './platform.ts';

/** A Nitro enclave, or one under emulation: documents come from /dev/nsm. */
export const openPlatform: OpenPlatform = async () => {
  const nsm = new NsmClient(deviceTransport());
  // Fails now rather than at the first request if the device is not there.
  await nsm.describe();
  return { name: 'nitro', nsm };
};

function deviceTransport(): NsmTransport {
  const addon = loadAddon(IMAGE_ADDON);
  return async (request) => {
    const answer = await addon.nsm(request);
    if (typeof answer !== 'number') return answer;
    throw new KmsError('UNAVAILABLE', `/dev/nsm answers ${getSystemErrorName(answer)}`);
  };
}
