import { createHash, timingSafeEqual } from 'node:crypto';
import { Agent } from 'node:https';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect, type TLSSocket } from 'node:tls';
import { KmsError } from '../../shared/errors.ts';
import type { Digest } from '../../shared/ids.ts';
import { fromHex } from '../../shared/wire/bytes.ts';
import { ENDPOINT_TLS } from '../net/endpoint-tls.ts';

export interface PinnedKeyOptions {
  /** Of the URL: for the server, which may serve several names. It proves nothing. */
  readonly host: string;
  /** SHA-256 of DER SubjectPublicKeyInfo; one of them must be the server's. */
  readonly spkiPins: readonly Digest[];
  /** A stream to the endpoint. Through the parent: it may end anywhere, which is what the pins are for. */
  readonly connect: () => Promise<Duplex>;
}

const CONNECT_TIMEOUT_MS = 5_000;
/** Servers close idle connections after some seconds; ours are given up first. */
const IDLE_MS = 4_000;
const MAX_SOCKETS = 4;

/**
 * TLS that ends in the enclave, to whoever holds the private key of a pinned public key. The pin alone decides: no authority,
 * name, or date of the certificate counts, and nothing is taken from a system store or the environment.
 */
export class PinnedKeyAgent extends Agent {
  readonly #options: PinnedKeyOptions;

  /** @throws {KmsError} BAD_INPUT without a pin */
  constructor(options: PinnedKeyOptions) {
    if (options.spkiPins.length === 0) throw new KmsError('BAD_INPUT', 'an endpoint has one pin or more');
    super({ keepAlive: true, timeout: IDLE_MS, maxSockets: MAX_SOCKETS, maxCachedSessions: 0 });
    this.#options = options;
  }

  override createConnection(
    _: unknown,
    done: (error: Error | null, stream: Duplex) => void = () => {},
  ): undefined {
    this.#open().then(
      (socket) => done(null, socket),
      // @types/node asks for a stream beside an error; the agent does not look at it.
      (error: unknown) => Reflect.apply(done, undefined, [error]),
    );
  }

  async #open(): Promise<TLSSocket> {
    const stream = await inTime(this.#options.connect());
    const socket = this.#secured(stream);
    try {
      await handshake(socket);
      if (!isPinned(socket, this.#options.spkiPins)) {
        throw new KmsError('BAD_PEER', 'what answers for a chain endpoint holds none of the pinned keys');
      }
      return socket;
    } catch (error) {
      socket.destroy();
      stream.destroy();
      throw error;
    }
  }

  #secured(stream: Duplex): TLSSocket {
    const { host } = this.#options;
    return connect({
      ...ENDPOINT_TLS,
      socket: stream,
      // No authority vouches for anybody here: isPinned() decides, before a byte is sent.
      ca: [],
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1'],
      ...(isIP(host) === 0 ? { servername: host } : {}),
    });
  }
}

/** What opens later is closed. */
function inTime(opening: Promise<Duplex>): Promise<Duplex> {
  const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    reject(new KmsError('TIMEOUT', 'a chain endpoint cannot be reached in time'));
  }, CONNECT_TIMEOUT_MS);
  opening.then((stream) => (isLate ? stream.destroy() : resolve(stream)), reject);
  return promise.finally(() => clearTimeout(timer));
}

/** The handshake has proved that the other end holds the key of this certificate. */
function isPinned(socket: TLSSocket, pins: readonly Digest[]): boolean {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return false;
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
  const hash = createHash('sha256').update(spki).digest();
  return pins.some((pin) => timingSafeEqual(hash, fromHex(pin)));
}

function handshake(socket: TLSSocket): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(
    () => reject(new KmsError('TIMEOUT', 'TLS to a chain endpoint timed out')),
    CONNECT_TIMEOUT_MS,
  );
  const closed = (): void =>
    reject(new KmsError('UNAVAILABLE', 'the connection to a chain endpoint was closed'));
  socket.once('close', closed);
  // The listener stays: a socket that waits in the agent must not throw.
  socket.on('error', (cause) =>
    reject(new KmsError('UNAVAILABLE', 'TLS to a chain endpoint failed', { cause })),
  );
  socket.once('secureConnect', resolve);
  return promise.finally(() => {
    clearTimeout(timer);
    socket.off('close', closed);
  });
}
