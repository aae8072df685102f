import type { Duplex } from 'node:stream';
import { KmsError } from '../../shared/errors.ts';
import type { Digest, PartyId } from '../../shared/ids.ts';
import type { Link } from '../../shared/link.ts';
import type { Log } from '../../shared/log.ts';
import type { Primitives, Rng, Signer } from '../../shared/primitives.ts';
import type { NodeApi } from '../api.ts';
import { apiServer } from './api-server.ts';
import { Credentials, type TlsIdentity } from './credentials.ts';
import { dialMember } from './dial.ts';
import { Ingress } from './ingress.ts';
import { type PeerHandlers, PeerNetwork } from './peers.ts';
import type { Roster } from './roster.ts';

export interface NodeNetworkOptions {
  readonly link: Link<Duplex>;
  /** The node's Ed25519 identity. */
  readonly identity: Signer;
  readonly crypto: Primitives;
  readonly rng: Rng;
  readonly api: NodeApi;
  readonly log: Log;
}

/** Everything of a node that touches the network: NodeService for clients from open(), peers from join(). */
export class NodeNetwork {
  readonly #options: NodeNetworkOptions;
  readonly #credentials: Credentials;
  readonly #ingress: Ingress;
  #peers: PeerNetwork | undefined;
  #joined = false;

  private constructor(options: NodeNetworkOptions, credentials: Credentials, ingress: Ingress) {
    this.#options = options;
    this.#credentials = credentials;
    this.#ingress = ingress;
  }

  /** Listens. @throws {KmsError} BUSY if another process is this node */
  static async open(options: NodeNetworkOptions): Promise<NodeNetwork> {
    const credentials = await Credentials.create(options.identity, options.crypto);
    const api = apiServer(options.api);
    // Nobody is a peer before join() has given the ingress its members.
    let network: NodeNetwork | undefined;
    const ingress = await Ingress.open({
      link: options.link,
      crypto: options.crypto,
      identity: await credentials.identityFor(),
      onClient: (socket) => api.serve(socket),
      onPeer: (party, socket) => {
        const peers = network?.peers;
        if (peers === undefined) socket.destroy();
        else peers.serve(party, socket);
      },
      log: options.log,
    });
    network = new NodeNetwork(options, credentials, ingress);
    return network;
  }

  get peers(): PeerNetwork | undefined {
    return this.#peers;
  }

  /**
   * Shows the network's certificate from now on, but to clients only: nobody is a peer. For a node that has stopped.
   */
  async present(networkId: Digest): Promise<TlsIdentity> {
    const own = await this.#credentials.identityFor(networkId);
    this.#ingress.present(own);
    return own;
  }

  /**
   * Becomes a member: presents the network's certificate from now on, and connects to the others. Once per process.
   * @throws {KmsError} SESSION_CLOSED the second time
   */
  async join(roster: Roster, handlers: PeerHandlers): Promise<PeerNetwork> {
    const { link, crypto, rng, log } = this.#options;
    if (this.#joined) throw new KmsError('SESSION_CLOSED', 'this process has joined already');
    this.#joined = true;
    const own = await this.present(roster.networkId);
    const peers = new PeerNetwork({
      onMessage: (from, payload) => handlers.onMessage(from, payload),
      onPeer: (party, up) => handlers.onPeer?.(party, up),
      self: roster.self,
      parties: roster.parties,
      dial: (party: PartyId) => dialMember(link, own, crypto, roster, party),
      rng,
      log,
    });
    this.#peers = peers;
    this.#ingress.join(roster);
    peers.start();
    return peers;
  }

  /** Drops every peer, for good; clients are served on. */
  async leave(): Promise<void> {
    this.#ingress.leave();
    await this.#peers?.close();
  }

  /** Closes every connection. */
  async close(): Promise<void> {
    await this.#ingress.close();
    await this.#peers?.close();
  }
}
