import { AGAIN, type NativeAddon, type NativeAddress, READABLE, systemError, WRITABLE } from './addon.ts';
import { NativeStream } from './stream.ts';

const BACKLOG = 128;
const ACCEPTS_PER_TURN = 32;
const REST_MS = 100;

/** ECONNABORTED: that peer gave up, the next may not have. */
const ABORTED = -103;

/**
 * Accepts streams until closed.
 * @returns closes the listener; open streams stay
 * @throws {Error} with the system's code, EADDRINUSE if somebody listens there
 */
export function listenNative(
  addon: NativeAddon,
  address: NativeAddress,
  onStream: (stream: NativeStream) => void,
): () => void {
  const descriptor = addon.listen(address, BACKLOG);
  if (descriptor < 0) throw systemError('listen', descriptor);
  let isClosed = false;
  const watch = addon.watch(descriptor, (status) => {
    if (status < 0) {
      rest();
      return;
    }
    for (let turn = 0; turn < ACCEPTS_PER_TURN && !isClosed; turn++) {
      const accepted = addon.accept(descriptor);
      if (accepted >= 0) begin(addon, accepted, onStream);
      else if (accepted !== ABORTED) {
        // Nobody is left, or there is no room for more: look again a little later instead of at once and for ever.
        if (accepted !== AGAIN) rest();
        return;
      }
    }
  });
  if (typeof watch === 'number') {
    addon.close(descriptor);
    throw systemError('poll', watch);
  }
  const rest = (): void => {
    addon.interest(watch, 0);
    setTimeout(() => isClosed || addon.interest(watch, READABLE), REST_MS);
  };
  addon.interest(watch, READABLE);
  return () => {
    if (isClosed) return;
    isClosed = true;
    addon.unwatch(watch);
    addon.close(descriptor);
  };
}

/** Resolves once connected. @throws {Error} with the system's code, ETIMEDOUT after timeoutMs */
export function connectNative(
  addon: NativeAddon,
  address: NativeAddress,
  timeoutMs: number,
): Promise<NativeStream> {
  return new Promise((resolve, reject) => {
    const descriptor = addon.connect(address);
    if (descriptor < 0) {
      reject(systemError('connect', descriptor));
      return;
    }
    const watch = addon.watch(descriptor, (status) => {
      const error = addon.connectError(descriptor);
      settle(error === 0 ? status : -error);
    });
    if (typeof watch === 'number') {
      addon.close(descriptor);
      reject(systemError('poll', watch));
      return;
    }
    const timer = setTimeout(() => settle(ETIMEDOUT), timeoutMs);
    let isSettled = false;
    const settle = (status: number): void => {
      if (isSettled) return;
      isSettled = true;
      clearTimeout(timer);
      addon.unwatch(watch);
      if (status >= 0) {
        // The handle of the connect is gone only after this turn of the loop.
        setImmediate(() => begin(addon, descriptor, resolve, reject));
        return;
      }
      addon.close(descriptor);
      reject(systemError('connect', status));
    };
    addon.interest(watch, WRITABLE);
  });
}

function begin(
  addon: NativeAddon,
  descriptor: number,
  onStream: (stream: NativeStream) => void,
  onError: (error: unknown) => void = () => {},
): void {
  let stream: NativeStream;
  try {
    stream = new NativeStream(addon, descriptor);
  } catch (error) {
    onError(error);
    return;
  }
  onStream(stream);
}

const ETIMEDOUT = -110;
