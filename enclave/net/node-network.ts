import type { Duplex } from 'node:stream';
import { KmsError } from '../../shared/errors.ts';
import type { PartyId } from '../../shared/ids.ts';
import type { Link } from '../../shared/link.ts';
import type { Log } from '../../shared/log.ts';
import { type Manifest, networkIdOf, partyOf } from '../../shared/manifest.ts';
import type { Primitives, Rng, Signer } from '../../shared/primitives.ts';
import type { NodeApi } from '../api.ts';
import { apiServer } from './api-server.ts';
import { Credentials, type TlsIdentity } from './credentials.ts';
import { dialNode } from './dial.ts';
import { Ingress } from './ingress.ts';
import { type PeerHandlers, PeerNetwork } from './peers.ts';

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
   * Becomes a member: presents the network's certificate from now on, and connects to the others. Once per process.
   * @throws {KmsError} BAD_MANIFEST if the manifest is not valid or does not name this node's identity
   */
  async join(manifest: Manifest, handlers: PeerHandlers): Promise<PeerNetwork> {
    const { link, identity, crypto, rng, log } = this.#options;
    const networkId = networkIdOf(crypto, manifest);
    const self = partyOf(manifest, identity.publicKey)?.party;
    if (self === undefined) throw new KmsError('BAD_MANIFEST', 'the manifest does not name this node');
    if (this.#joined) throw new KmsError('BAD_MANIFEST', 'this node has joined already');
    this.#joined = true;
    const own: TlsIdentity = await this.#credentials.identityFor(networkId);
    const members = new Map(manifest.parties.map((member) => [member.party, member]));
    const peers = new PeerNetwork({
      onMessage: (from, payload) => handlers.onMessage(from, payload),
      onPeer: (party, up) => handlers.onPeer?.(party, up),
      self,
      parties: [...members.keys()],
      dial: (party: PartyId) => {
        const { address, identity: expected } = members.get(party)!;
        return dialNode(link, own, crypto, { address, networkId, identity: expected });
      },
      rng,
      log,
    });
    this.#peers = peers;
    this.#ingress.join({ networkId, manifest, self }, own);
    peers.start();
    return peers;
  }

  /** Closes every connection. */
  async close(): Promise<void> {
    await this.#ingress.close();
    await this.#peers?.close();
  }
}
