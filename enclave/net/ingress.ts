import type { Duplex } from 'node:stream';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { type VerifiedNode, verifyNode } from '../../shared/attestation/node-evidence.ts';
import { codeOf, type ErrorCode, KmsError } from '../../shared/errors.ts';
import type { PartyId } from '../../shared/ids.ts';
import type { Link, Listener } from '../../shared/link.ts';
import type { Log, LogReason } from '../../shared/log.ts';
import type { Primitives } from '../../shared/primitives.ts';
import type { TlsIdentity } from './credentials.ts';
import { HandshakeBudget } from './handshake-budget.ts';
import { type ClaimedPeer, claimedPeer, type PeerTrust } from './tls.ts';
import { ALPN, HANDSHAKE_TIMEOUT_MS, TLS_POLICY } from './tls-policy.ts';

export interface IngressLimits {
  readonly maxHandshakes: number;
  readonly maxClients: number;
}

/** So many streams over budget in a row, and the node stops listening for a moment: refusing costs too. */
const REFUSALS = 32;
/** Refusals with more than this between them are not in a row. */
const ROW_MS = 1_000;
const PAUSE_MS = 1_000;

export const INGRESS_LIMITS: IngressLimits = { maxHandshakes: 64, maxClients: 64 };

export interface IngressOptions {
  readonly link: Link<Duplex>;
  /** What the parent says about where the streams come from. It proves nothing: checks and rights are the same. */
  readonly service?: 'ingress' | 'members';
  readonly crypto: Primitives;
  readonly identity: TlsIdentity;
  readonly onClient: (socket: TLSSocket) => void;
  readonly onPeer: (party: PartyId, socket: TLSSocket, node: VerifiedNode) => void;
  /** A member that has not unsealed its identity: it may recall, nothing else. */
  readonly onBooting?: (party: PartyId, socket: TLSSocket, node: VerifiedNode) => void;
  readonly log: Log;
  readonly limits?: IngressLimits;
  readonly budget?: HandshakeBudget;
}

/** Ends TLS for everything that comes in and sorts it: members to onPeer or onBooting, callers without a certificate to onClient. */
export class Ingress {
  readonly #options: IngressOptions;
  readonly #limits: IngressLimits;
  readonly #budget: HandshakeBudget;
  readonly #server: Server;
  readonly #streams = new Set<Duplex>();
  readonly #secured = new Set<TLSSocket>();
  #listener: Listener | undefined;
  #network: PeerTrust | undefined;
  #clients = 0;
  #refusals = 0;
  #refusedAtMs = 0;
  #resumption: NodeJS.Timeout | undefined;
  #closed = false;

  private constructor(options: IngressOptions) {
    this.#options = options;
    this.#limits = options.limits ?? INGRESS_LIMITS;
    this.#budget = options.budget ?? new HandshakeBudget();
    this.#server = createServer({
      ...TLS_POLICY,
      ...options.identity,
      ALPNProtocols: [ALPN],
      requestCert: true,
      rejectUnauthorized: false,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    });
    this.#server.on('secureConnection', (socket) => void this.#accept(socket));
    this.#server.on('tlsClientError', (_error, socket) => {
      this.#budget.failed();
      this.#refuse('tls');
      socket.destroy();
    });
  }

  /** @throws {KmsError} BUSY if another process serves this node's ingress */
  static async open(options: IngressOptions): Promise<Ingress> {
    const ingress = new Ingress(options);
    await ingress.#listen();
    return ingress;
  }

  /** From now on connections are made under this certificate. */
  present(identity: TlsIdentity): void {
    this.#server.setSecureContext({ ...TLS_POLICY, ...identity });
  }

  /** From now on the network's other members are peers. */
  join(network: PeerTrust): void {
    this.#network = network;
  }

  /** From now on nobody is a peer. */
  leave(): void {
    this.#network = undefined;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#resumption);
    for (const stream of this.#streams) stream.destroy();
    await this.#listener?.close();
  }

  async #listen(): Promise<void> {
    this.#listener = await this.#options.link.listen(this.#options.service ?? 'ingress', (stream) =>
      this.#begin(stream),
    );
  }

  /** Under a flood: what is up stays up, and whoever comes in the pause finds nobody. */
  #countRefusal(): void {
    const nowMs = performance.now();
    this.#refusals = nowMs - this.#refusedAtMs > ROW_MS ? 1 : this.#refusals + 1;
    this.#refusedAtMs = nowMs;
    if (this.#refusals === 1) this.#refuse('handshake-rate');
    if (this.#refusals < REFUSALS || this.#resumption !== undefined) return;
    this.#options.log('warn', 'ingress-paused', { reason: 'handshake-rate', count: this.#refusals });
    void this.#listener?.close();
    this.#resumption = setTimeout(() => void this.#resume(), PAUSE_MS);
  }

  async #resume(): Promise<void> {
    this.#refusals = 0;
    this.#resumption = undefined;
    try {
      if (!this.#closed) await this.#listen();
      if (this.#closed) await this.#listener?.close();
    } catch (error) {
      this.#options.log('error', 'ingress-not-resumed', { code: codeOf(error) });
      this.#resumption = setTimeout(() => void this.#resume(), PAUSE_MS);
    }
  }

  #begin(stream: Duplex): void {
    if (this.#closed || this.#resumption !== undefined) {
      stream.destroy();
      return;
    }
    stream.on('error', () => stream.destroy());
    const handshakes = this.#streams.size - this.#secured.size;
    if (handshakes >= this.#limits.maxHandshakes) {
      this.#refuse('connection-limit');
      stream.destroy();
      return;
    }
    if (!this.#budget.allowsTls()) {
      stream.destroy();
      this.#countRefusal();
      return;
    }
    this.#streams.add(stream);
    stream.once('close', () => this.#streams.delete(stream));
    this.#server.emit('connection', stream);
  }

  /** Cheap checks first; whatever the socket brings meanwhile nobody reads before the last one. */
  async #accept(socket: TLSSocket): Promise<void> {
    socket.on('error', () => socket.destroy());
    this.#secured.add(socket);
    socket.once('close', () => this.#secured.delete(socket));
    const network = this.#network;
    let claimed: ClaimedPeer | undefined;
    try {
      const { crypto } = this.#options;
      claimed = claimedPeer(socket, crypto, network?.roster, () => this.#budget.allowsCertificate());
      if (claimed === undefined || network === undefined) {
        this.#acceptClient(socket);
        return;
      }
      const { party, claim } = claimed;
      if (!this.#budget.allowsDocumentOf(party)) {
        this.#refuse('handshake-rate');
        socket.destroy();
        return;
      }
      const node = await verifyNode(crypto, network.trust, claim);
      if (this.#network !== network) throw new KmsError('UNAVAILABLE', 'this node has left its network');
      if (socket.destroyed) return;
      if (node.bootKey === undefined) this.#options.onPeer(party, socket, node);
      else if (this.#options.onBooting === undefined) socket.destroy();
      else this.#options.onBooting(party, socket, node);
    } catch (error) {
      this.#budget.failed(claimed?.party);
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
