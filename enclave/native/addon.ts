import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { getSystemErrorName } from 'node:util';
import { KmsError } from '../../shared/errors.ts';
import { isNativeAddon, type NativeAddon, type SystemError } from '../../shared/native/addon.ts';

export type { NativeAddon, NativeAddress } from '../../shared/native/addon.ts';
export { ANY_CID } from '../../shared/native/addon.ts';

/** Where an image has the addon: beside the bundle. */
export const IMAGE_ADDON: string = fileURLToPath(new URL('kms.node', import.meta.url));

/** @throws {KmsError} UNAVAILABLE if the file is missing or made for another machine */
export function loadAddon(path: string): NativeAddon {
  let addon: unknown;
  try {
    addon = createRequire(import.meta.url)(path);
  } catch (cause) {
    throw new KmsError('UNAVAILABLE', `the native layer ${path} cannot be loaded`, { cause });
  }
  if (!isNativeAddon(addon)) throw new KmsError('UNAVAILABLE', `${path} is not the native layer`);
  return addon;
}

export const systemError: SystemError = (call, errno) => {
  const code = getSystemErrorName(errno);
  return Object.assign(new Error(`${call}: ${code}`), { code, errno, syscall: call });
};
