import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { NO_NETWORK } from '../../shared/attestation/certificate.ts';
import { ChainCache } from '../../shared/attestation/chain-cache.ts';
import type { NodeTrust, VerifiedNode } from '../../shared/attestation/node-evidence.ts';
import type { AttestationRoot } from '../../shared/attestation/root.ts';
import { codeOf, KmsError } from '../../shared/errors.ts';
import type { Digest, PartyId } from '../../shared/ids.ts';
import type { Link } from '../../shared/link.ts';
import type { Log } from '../../shared/log.ts';
import type { Measurement } from '../../shared/network/measurement.ts';
import type { Primitives, Rng, Signer } from '../../shared/primitives.ts';
import type { NodeApi } from '../api.ts';
import type { Recollection } from '../membership/peer-memory.ts';
import { bindToNetwork } from '../nsm/network-binding.ts';
import type { Nsm } from '../nsm/nsm.ts';
import { API_LIMITS, apiServer, type FurtherRoutes } from './api-server.ts';
import { recallFrom } from './boot-client.ts';
import { type BootServerOptions, serveBoot } from './boot-server.ts';
import { Credentials, type Speaker, type TlsIdentity } from './credentials.ts';
import { dialMember } from './dial.ts';
import { DialBudget } from './dial-budget.ts';
import { HANDSHAKE_LIMITS, HandshakeBudget, MEMBERS_HANDSHAKE_LIMITS } from './handshake-budget.ts';
import { Ingress } from './ingress.ts';
import { type PeerHandlers, PeerNetwork } from './peers.ts';
import type { Roster } from './roster.ts';
import type { PeerTrust } from './tls.ts';

export interface NodeNetworkOptions {
  readonly link: Link<Duplex>;
  /** The node's Ed25519 identity. */
  readonly identity: Signer;
  readonly nsm: Nsm;
  /** The network this node has joined in an earlier life: shown from the first connection on. */
  readonly networkId?: Digest | undefined;
  /** Of the build (`#roots`). */
  readonly roots: readonly AttestationRoot[];
  /** Enclave time, Unix. */
  readonly nowMs: () => number;
  readonly crypto: Primitives;
  readonly rng: Rng;
  readonly api: NodeApi;
  readonly furtherRoutes?: FurtherRoutes | undefined;
  readonly log: Log;
}

/** The certificate's document is made anew so often; it counts for five minutes. */
const RENEW_MS = 90_000;

/** Two ways in, so that a flood of strangers leaves the members' open. */
const SERVICES = [
  ['ingress', HANDSHAKE_LIMITS],
  ['members', MEMBERS_HANDSHAKE_LIMITS],
] as const;

/** Everything of a node that touches the network: NodeService for clients from open(), peers from join(). */
export class NodeNetwork {
  readonly #options: NodeNetworkOptions;
  readonly #credentials: Credentials;
  readonly #ingresses: readonly Ingress[];
  readonly #chains = new ChainCache();
  readonly #dials = new DialBudget();
  #peers: PeerNetwork | undefined;
  #boot: BootServerOptions | undefined;
  #joined = false;
  /** What is shown now, to whoever comes in and whomever this node dials. */
  #shown: TlsIdentity;
  #shownFor: Digest;
  #renewal: NodeJS.Timeout | undefined;

  private constructor(
    options: NodeNetworkOptions,
    credentials: Credentials,
    ingresses: readonly Ingress[],
    shown: TlsIdentity,
  ) {
    this.#options = options;
    this.#credentials = credentials;
    this.#ingresses = ingresses;
    this.#shown = shown;
    this.#shownFor = options.networkId ?? NO_NETWORK;
    this.#renewal = setInterval(() => void this.#renew(), RENEW_MS).unref();
  }

  /** Listens. @throws {KmsError} BUSY if another process is this node */
  static async open(options: NodeNetworkOptions): Promise<NodeNetwork> {
    const credentials = await Credentials.create(options.identity, options.crypto, options.nsm);
    if (options.networkId !== undefined) await bindToNetwork(options.nsm, options.networkId);
    const shown = await credentials.identityFor(options.networkId);
    const api = apiServer(options.api, API_LIMITS, options.furtherRoutes);
    // Nobody is a peer before join() has given the ingress its members.
    let network: NodeNetwork | undefined;
    const common = {
      link: options.link,
      crypto: options.crypto,
      identity: shown,
      onClient: (socket: TLSSocket) => api.serve(socket),
      onPeer: (party: PartyId, socket: TLSSocket, node: VerifiedNode) => {
        const peers = network?.peers;
        if (peers === undefined) socket.destroy();
        else peers.serve(party, socket, node);
      },
      onBooting: (party: PartyId, socket: TLSSocket, node: VerifiedNode) => {
        const boot = network?.boot;
        if (boot === undefined) socket.destroy();
        else serveBoot(party, socket, node, boot);
      },
      log: options.log,
    };
    const ingresses: Ingress[] = [];
    try {
      for (const [service, limits] of SERVICES) {
        ingresses.push(await Ingress.open({ ...common, service, budget: new HandshakeBudget(limits) }));
      }
    } catch (error) {
      for (const ingress of ingresses) await ingress.close();
      throw error;
    }
    network = new NodeNetwork(options, credentials, ingresses, shown);
    return network;
  }

  get peers(): PeerNetwork | undefined {
    return this.#peers;
  }

  /**
   * Binds this boot to the network and shows its certificate from now on, but to clients only: nobody is a peer. For a node
   * that has stopped.
   * @throws {KmsError} BAD_INPUT if this boot is bound to another network; as Nsm
   */
  async present(networkId: Digest): Promise<void> {
    await bindToNetwork(this.#options.nsm, networkId);
    await this.#show(networkId);
  }

  /** What members that have not unsealed are answered with; undefined: nothing. */
  get boot(): BootServerOptions | undefined {
    return this.#boot;
  }

  /**
   * From now on this speaker is shown, within this network. Nobody is a peer yet.
   * @throws {KmsError} BAD_INPUT if this boot is bound to another network; as Nsm
   */
  async speakAs(speaker: Speaker, networkId: Digest): Promise<void> {
    this.#credentials.speakAs(speaker);
    await this.present(networkId);
  }

  /** From now on members that have not unsealed may recall what this node keeps for them. */
  answerRecalls(network: PeerTrust, recall: BootServerOptions['recall']): void {
    const { crypto: hashes, rng, log } = this.#options;
    this.#boot = {
      ...{ trust: network.trust, hashes, rng, recall, log },
      onRecalled: (party) => this.#peers?.expect(party),
    };
    for (const ingress of this.#ingresses) ingress.join(network);
  }

  /** Asks a member what it keeps for this node. @throws {KmsError} UNAVAILABLE, TIMEOUT, BAD_PEER, BAD_ATTESTATION, BAD_ENCODING */
  async recall(network: PeerTrust, party: PartyId): Promise<Recollection> {
    const { link, crypto } = this.#options;
    const verified = await dialMember(link, this.#shown, crypto, network, party, this.#dials, 'too');
    return recallFrom(verified, (nonce) => this.document(nonce));
  }

  /** DER SubjectPublicKeyInfo of this process life's TLS key. */
  get spki(): Uint8Array {
    return this.#credentials.spki;
  }

  /** A document made now for this TLS key, identity and the network that is presented. @throws as Nsm */
  document(nonce: Uint8Array): Promise<Uint8Array> {
    return this.#credentials.document(this.#shownFor, nonce);
  }

  /** What this node takes for a node of a network. @param measurements of the images that may run now */
  trustIn(networkId: Digest, measurements: () => readonly Measurement[]): NodeTrust {
    const { roots, nowMs } = this.#options;
    return { networkId, roots, measurements, nowMs, chains: this.#chains };
  }

  /**
   * Becomes a member: presents the network's certificate from now on, and connects to the others. Once per process.
   * @throws {KmsError} SESSION_CLOSED the second time; as present()
   */
  async join(roster: Roster, trust: NodeTrust, handlers: PeerHandlers): Promise<PeerNetwork> {
    const { link, crypto, rng, log } = this.#options;
    if (this.#joined) throw new KmsError('SESSION_CLOSED', 'this process has joined already');
    this.#joined = true;
    await this.present(roster.networkId);
    const network = { roster, trust };
    const peers = new PeerNetwork({
      ...handlers,
      self: roster.self,
      parties: roster.parties,
      dial: (party: PartyId) => dialMember(link, this.#shown, crypto, network, party, this.#dials),
      rng,
      log,
    });
    this.#peers = peers;
    for (const ingress of this.#ingresses) ingress.join(network);
    peers.start();
    return peers;
  }

  /** Drops every peer, for good; clients are served on. */
  async leave(): Promise<void> {
    this.#boot = undefined;
    for (const ingress of this.#ingresses) ingress.leave();
    await this.#peers?.close();
  }

  /** Closes every connection. */
  async close(): Promise<void> {
    clearInterval(this.#renewal);
    for (const ingress of this.#ingresses) await ingress.close();
    await this.#peers?.close();
  }

  async #show(networkId: Digest): Promise<void> {
    this.#shown = await this.#credentials.identityFor(networkId);
    this.#shownFor = networkId;
    for (const ingress of this.#ingresses) ingress.present(this.#shown);
  }

  /** The same TLS key with a fresh document. */
  async #renew(): Promise<void> {
    const networkId = this.#shownFor;
    try {
      const renewed = await this.#credentials.identityFor(networkId);
      if (this.#shownFor !== networkId) return;
      this.#shown = renewed;
      for (const ingress of this.#ingresses) ingress.present(renewed);
    } catch (error) {
      this.#options.log('error', 'attestation-not-renewed', { code: codeOf(error) });
    }
  }
}
