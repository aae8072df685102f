import {
  ABORTED,
  AGAIN,
  type NativeAddon,
  type NativeAddress,
  READABLE,
  type SystemError,
  TIMED_OUT,
  WRITABLE,
} from './addon.ts';

const BACKLOG = 128;
const ACCEPTS_PER_TURN = 32;
const REST_MS = 100;

/** What the caller's platform gives. */
export interface NativePlatform<Stream> {
  readonly addon: NativeAddon;
  readonly systemError: SystemError;
  /** A stream that owns a connected descriptor. @throws {Error} if it cannot be watched; it is closed then */
  readonly streamOf: (descriptor: number) => Stream;
  /** @returns cancels it */
  readonly after: (delayMs: number, effect: () => void) => () => void;
  /** After this turn of the event loop. */
  readonly afterTurn: (effect: () => void) => void;
}

/** Listeners and connections by the addon. */
export class NativeSockets<Stream> {
  readonly #platform: NativePlatform<Stream>;

  constructor(platform: NativePlatform<Stream>) {
    this.#platform = platform;
  }

  /**
   * Accepts streams until closed.
   * @param onlyCid whoever else connects is closed at once
   * @returns closes the listener; open streams stay
   * @throws {Error} with the system's code, EADDRINUSE if somebody listens there
   */
  listen(address: NativeAddress, onStream: (stream: Stream) => void, onlyCid?: number): () => void {
    const { addon, systemError, after } = this.#platform;
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
        if (accepted >= 0) {
          if (onlyCid === undefined || addon.peerCid(accepted) === onlyCid) this.#begin(accepted, onStream);
          else addon.close(accepted);
        } else if (accepted !== ABORTED) {
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
      after(REST_MS, () => isClosed || addon.interest(watch, READABLE));
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
  connect(address: NativeAddress, timeoutMs: number): Promise<Stream> {
    const { addon, systemError, after, afterTurn } = this.#platform;
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
      const cancel = after(timeoutMs, () => settle(TIMED_OUT));
      let isSettled = false;
      const settle = (status: number): void => {
        if (isSettled) return;
        isSettled = true;
        cancel();
        addon.unwatch(watch);
        if (status >= 0) {
          // The handle of the connect is gone only after this turn of the loop.
          afterTurn(() => this.#begin(descriptor, resolve, reject));
          return;
        }
        addon.close(descriptor);
        reject(systemError('connect', status));
      };
      addon.interest(watch, WRITABLE);
    });
  }

  #begin(
    descriptor: number,
    onStream: (stream: Stream) => void,
    onError: (error: unknown) => void = () => {},
  ): void {
    let stream: Stream;
    try {
      stream = this.#platform.streamOf(descriptor);
    } catch (error) {
      onError(error);
      return;
    }
    onStream(stream);
  }
}
