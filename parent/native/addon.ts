import { createRequire } from 'node:module';
import { getSystemErrorName } from 'node:util';
import { KmsError } from '../../shared/errors.ts';
import { isNativeAddon, type NativeAddon } from '../../shared/native/addon.ts';
import { NativeSockets } from '../../shared/native/sockets.ts';
import { NativeStream } from './stream.ts';

/** @param path of what `make native` builds. @throws {KmsError} UNAVAILABLE if it is missing or made for another machine */
export function loadAddon(path: string): NativeAddon {
  let addon: unknown;
  try {
    addon = createRequire(import.meta.url)(path);
  } catch (cause) {
    throw new KmsError('UNAVAILABLE', `the native layer ${path} cannot be loaded; make native builds it`, {
      cause,
    });
  }
  if (!isNativeAddon(addon)) throw new KmsError('UNAVAILABLE', `${path} is not the native layer`);
  return addon;
}

/** The native layer on this process's event loop. */
export function nativeSockets(addon: NativeAddon): NativeSockets<NativeStream> {
  return new NativeSockets({
    ...{ addon, systemError, afterTurn: (effect) => void setImmediate(effect) },
    // An error also closes the stream, and that is how its user learns.
    streamOf: (descriptor) => new NativeStream(addon, systemError, descriptor).on('error', () => {}),
    after: (delayMs, effect) => {
      const timer = setTimeout(effect, delayMs);
      return () => clearTimeout(timer);
    },
  });
}

function systemError(call: string, errno: number): Error & { readonly code: string } {
  const code = getSystemErrorName(errno);
  return Object.assign(new Error(`${call}: ${code}`), { code, errno, syscall: call });
}
