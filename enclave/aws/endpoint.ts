import { Agent, type RequestOptions } from 'node:https';
import { type Duplex, pipeline, Transform } from 'node:stream';
import { checkServerIdentity, connect, type TLSSocket } from 'node:tls';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { KmsError } from '../../shared/errors.ts';
import { ENDPOINT_TLS } from '../net/endpoint-tls.ts';

/**
 * How an enclave reaches a service of AWS: TLS that ends in the enclave, over a stream that the parent carries, to a host
 * that the configuration names, on roots that the build pins. The requests are those of the unmodified SDK.
 * Nothing here has a default that Node would fill in from a system store, the environment or its own flags.
 */
export interface EndpointOptions {
  /** A stream to `host:443`. Through the parent: it may end anywhere, which is what TLS is for. */
  readonly connect: (host: string) => Promise<Duplex>;
  /** The names that may be reached, exactly. */
  readonly hosts: readonly string[];
  /** DER, one or more: `ENDPOINT_ROOTS` of `#roots`. */
  readonly roots: readonly Uint8Array[];
  /** The largest answer; what is longer ends in an error. */
  readonly maxAnswerBytes: number;
}

const CONNECT_TIMEOUT_MS = 5_000;
/** A service closes idle connections after some seconds; ours are given up first. */
const IDLE_MS = 4_000;
const MAX_SOCKETS = 16;

/** For `requestHandler` of a client of the SDK. */
export function endpointHandler(options: EndpointOptions): NodeHttpHandler {
  return new BoundedHandler(new PinnedAgent(options), options.maxAnswerBytes);
}

/** Opens TLS connections to the named hosts and to nothing else. */
export class PinnedAgent extends Agent {
  readonly #options: EndpointOptions;
  readonly #roots: readonly string[];

  /** @throws {KmsError} BAD_INPUT without roots or hosts: Node would then take the system's */
  constructor(options: EndpointOptions) {
    if (options.roots.length === 0 || options.hosts.length === 0) {
      throw new KmsError('BAD_INPUT', 'an endpoint has one root or more and one host or more');
    }
    super({ keepAlive: true, timeout: IDLE_MS, maxSockets: MAX_SOCKETS, maxCachedSessions: 0 });
    this.#options = options;
    this.#roots = options.roots.map(pemOf);
  }

  override createConnection(
    { host }: RequestOptions,
    done: (error: Error | null, stream: Duplex) => void = () => {},
  ): undefined {
    this.#open(host ?? '').then(
      (socket) => done(null, socket),
      // @types/node asks for a stream beside an error; the agent does not look at it.
      (error: unknown) => Reflect.apply(done, undefined, [error]),
    );
  }

  async #open(host: string): Promise<TLSSocket> {
    if (!this.#options.hosts.includes(host)) {
      throw new KmsError('BAD_INPUT', `${host} is no endpoint of this network`);
    }
    const stream = await this.#options.connect(host);
    const socket = connect({
      ...ENDPOINT_TLS,
      socket: stream,
      ca: [...this.#roots],
      servername: host,
      rejectUnauthorized: true,
      checkServerIdentity: (_, certificate) => checkServerIdentity(host, certificate),
      ALPNProtocols: ['http/1.1'],
    });
    try {
      await handshake(socket, host);
      return socket;
    } catch (error) {
      socket.destroy();
      stream.destroy();
      throw error;
    }
  }
}

function handshake(socket: TLSSocket, host: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(
    () => reject(new KmsError('TIMEOUT', `TLS to ${host} timed out`)),
    CONNECT_TIMEOUT_MS,
  );
  const closed = (): void => reject(new KmsError('UNAVAILABLE', `the connection to ${host} was closed`));
  socket.once('close', closed);
  // The listener stays: a socket that waits in the agent must not throw.
  socket.on('error', (cause) => reject(tlsError(host, cause)));
  socket.once('secureConnect', () => {
    if (socket.authorized) resolve();
    else reject(tlsError(host, socket.authorizationError));
  });
  return promise.finally(() => {
    clearTimeout(timer);
    socket.off('close', closed);
  });
}

/** Codes that say that the other end is somebody else, and not that a connection failed. */
const IMPOSTOR =
  /^(?:ERR_TLS_CERT_ALTNAME_INVALID|CERT_.*|.*_CERT|.*_CERT_.*|.*_CERTIFICATE|DEPTH_ZERO_.*|UNABLE_TO_.*|INVALID_(?:CA|PURPOSE)|PATH_LENGTH_EXCEEDED|HOSTNAME_MISMATCH)$/;

function tlsError(host: string, cause: unknown): KmsError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  return IMPOSTOR.test(code)
    ? new KmsError('BAD_PEER', `what answers for ${host} has no certificate under the pinned roots`, {
        cause,
      })
    : new KmsError('UNAVAILABLE', `TLS to ${host} failed`, { cause });
}

/** Ends answers that are longer than any that is asked for. */
class BoundedHandler extends NodeHttpHandler {
  readonly #maxBytes: number;

  constructor(agent: PinnedAgent, maxBytes: number) {
    // Requests carry a deadline of their own (abortSignal); a plain http agent has no place here.
    super({ httpsAgent: agent, connectionTimeout: 2 * CONNECT_TIMEOUT_MS });
    this.#maxBytes = maxBytes;
  }

  override async handle(
    ...[request, options]: Parameters<NodeHttpHandler['handle']>
  ): ReturnType<NodeHttpHandler['handle']> {
    if (request.protocol !== 'https:') throw new KmsError('BAD_INPUT', 'services are reached by https only');
    const { response } = await super.handle(request, options);
    response.body = pipeline(response.body, bounded(this.#maxBytes), () => {});
    return { response };
  }
}

function bounded(maxBytes: number): Transform {
  let seen = 0;
  return new Transform({
    transform(chunk: Buffer, _, done) {
      seen += chunk.length;
      if (seen <= maxBytes) done(null, chunk);
      else done(new KmsError('TOO_LARGE', `the service answers with more than ${maxBytes} bytes`));
    },
  });
}

function pemOf(der: Uint8Array): string {
  return `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE-----\n`;
}
