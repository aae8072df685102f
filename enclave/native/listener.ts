import type { NativeAddon, NativeAddress } from '../../shared/native/addon.ts';
import { NativeSockets } from '../../shared/native/sockets.ts';
import { systemError } from './addon.ts';
import { NativeStream } from './stream.ts';

/** The native layer on this process's event loop. */
export function nativeSockets(addon: NativeAddon): NativeSockets<NativeStream> {
  return new NativeSockets({
    ...{ addon, systemError, afterTurn: (effect) => void setImmediate(effect) },
    // An error also closes the stream, and that is how its user learns.
    streamOf: (descriptor) => new NativeStream(addon, descriptor).on('error', () => {}),
    after: (delayMs, effect) => {
      const timer = setTimeout(effect, delayMs);
      return () => clearTimeout(timer);
    },
  });
}

/** As NativeSockets.listen. */
export function listenNative(
  addon: NativeAddon,
  address: NativeAddress,
  onStream: (stream: NativeStream) => void,
): () => void {
  return nativeSockets(addon).listen(address, onStream);
}

/** As NativeSockets.connect. */
export function connectNative(
  addon: NativeAddon,
  address: NativeAddress,
  timeoutMs: number,
): Promise<NativeStream> {
  return nativeSockets(addon).connect(address, timeoutMs);
}
