import type { Duplex } from 'node:stream';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { codeOf, type ErrorCode } from '../../shared/errors.ts';
import type { PartyId } from '../../shared/ids.ts';
import type { Link, Listener } from '../../shared/link.ts';
import type { Log, LogReason } from '../../shared/log.ts';
import type { Primitives } from '../../shared/primitives.ts';
import type { TlsIdentity } from './credentials.ts';
import type { Roster } from './roster.ts';
import { acceptedPeer } from './tls.ts';
import { ALPN, HANDSHAKE_TIMEOUT_MS, TLS_POLICY } from './tls-policy.ts';

export interface IngressLimits {
  readonly maxHandshakes: number;
  readonly maxClients: number;
}

export const INGRESS_LIMITS: IngressLimits = { maxHandshakes: 64, maxClients: 64 };

export interface IngressOptions {
  readonly link: Link<Duplex>;
  readonly crypto: Primitives;
  readonly identity: TlsIdentity;
  readonly onClient: (socket: TLSSocket) => void;
  readonly onPeer: (party: PartyId, socket: TLSSocket) => void;
  readonly log: Log;
  readonly limits?: IngressLimits;
}

/** Ends TLS for everything that comes in and sorts it: members to onPeer, callers without a certificate to onClient. */
export class Ingress {
  readonly #options: IngressOptions;
  readonly #limits: IngressLimits;
  readonly #server: Server;
  readonly #streams = new Set<Duplex>();
  readonly #secured = new Set<TLSSocket>();
  #listener: Listener | undefined;
  #roster: Roster | undefined;
  #clients = 0;

  private constructor(options: IngressOptions) {
    this.#options = options;
    this.#limits = options.limits ?? INGRESS_LIMITS;
    this.#server = createServer({
      ...TLS_POLICY,
      ...options.identity,
      ALPNProtocols: [ALPN],
      requestCert: true,
      rejectUnauthorized: false,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    });
    this.#server.on('secureConnection', (socket) => this.#accept(socket));
    this.#server.on('tlsClientError', (_error, socket) => {
      this.#refuse('tls');
      socket.destroy();
    });
  }

  /** @throws {KmsError} BUSY if another process serves this node's ingress */
  static async open(options: IngressOptions): Promise<Ingress> {
    const ingress = new Ingress(options);
    ingress.#listener = await options.link.listen('ingress', (stream) => ingress.#begin(stream));
    return ingress;
  }

  /** From now on connections are made under this certificate. */
  present(identity: TlsIdentity): void {
    this.#server.setSecureContext({ ...TLS_POLICY, ...identity });
  }

  /** From now on the network's other members are peers. */
  join(roster: Roster): void {
    this.#roster = roster;
  }

  /** From now on nobody is a peer. */
  leave(): void {
    this.#roster = undefined;
  }

  async close(): Promise<void> {
    for (const stream of this.#streams) stream.destroy();
    await this.#listener?.close();
  }

  #begin(stream: Duplex): void {
    stream.on('error', () => stream.destroy());
    const handshakes = this.#streams.size - this.#secured.size;
    if (handshakes >= this.#limits.maxHandshakes) {
      this.#refuse('connection-limit');
      stream.destroy();
      return;
    }
    this.#streams.add(stream);
    stream.once('close', () => this.#streams.delete(stream));
    this.#server.emit('connection', stream);
  }

  #accept(socket: TLSSocket): void {
    socket.on('error', () => socket.destroy());
    this.#secured.add(socket);
    socket.once('close', () => this.#secured.delete(socket));
    try {
      const party = acceptedPeer(socket, this.#options.crypto, this.#roster);
      if (party === undefined) this.#acceptClient(socket);
      else this.#options.onPeer(party, socket);
    } catch (error) {
      this.#refuse('certificate', codeOf(error));
      socket.destroy();
    }
  }

  #acceptClient(socket: TLSSocket): void {
    if (this.#clients >= this.#limits.maxClients) {
      this.#refuse('connection-limit');
      socket.destroy();
      return;
    }
    this.#clients += 1;
    socket.once('close', () => {
      this.#clients -= 1;
    });
    this.#options.onClient(socket);
  }

  #refuse(reason: LogReason, code?: ErrorCode): void {
    this.#options.log('warn', 'connection-refused', code === undefined ? { reason } : { reason, code });
  }
}
