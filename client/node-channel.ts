import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import type { DescService } from '@bufbuild/protobuf';
import { type Client, createClient, type Transport } from '@connectrpc/connect';
import { createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node';
import { parseAddress } from '../shared/address.ts';
import { verifyNodeCertificate } from '../shared/attestation/certificate.ts';
import { type NodeTrust, type VerifiedNode, verifyNode } from '../shared/attestation/node-evidence.ts';
import { KmsError } from '../shared/errors.ts';
import { noble } from '../shared/noble.ts';
import { equalBytes } from '../shared/wire/bytes.ts';
import { readEagerly } from '../shared/wire/eager.ts';
import { NodeService } from '../shared/wire/generated/kms/v1/node_pb.js';

export type NodeClient = Client<typeof NodeService>;

/** Whom to reach, and where to look for it, the likeliest address first. */
export interface NodePlace {
  /** Ed25519, 32 bytes. Undefined: whoever proves to be a node of the network; the channel's `identity` says who. */
  readonly identity: Uint8Array | undefined;
  /** `host:port`, one or more */
  readonly addresses: readonly string[];
}

const HANDSHAKE_TIMEOUT_MS = 10_000;
const WINDOW_BYTES = 16 << 20;
/** A piece of a key record, or a sealed share. */
const MAX_MESSAGE_BYTES = 16 << 20;

/**
 * One node's NodeService, on a TLS 1.3 connection of our own that ends inside the node's enclave. The hybrid group
 * X25519MLKEM768 is the only one offered; the node's certificate and attestation are verified before any byte is handed to
 * HTTP/2.
 * Connects at the first call, and again after the connection was lost.
 */
export class NodeChannel {
  readonly #place: NodePlace;
  readonly #trust: NodeTrust;
  #socket: tls.TLSSocket | undefined;
  #opening: Promise<Transport> | undefined;
  #manager: Http2SessionManager | undefined;
  #node: VerifiedNode | undefined;

  constructor(place: NodePlace, trust: NodeTrust) {
    this.#place = place;
    this.#trust = trust;
  }

  /** What the last connection proved; undefined before the first. */
  get node(): VerifiedNode | undefined {
    return this.#node;
  }

  /** Whose key the last connection proved; undefined before the first. */
  get identity(): Uint8Array | undefined {
    return this.#node?.identity;
  }

  /** @throws {KmsError} UNAVAILABLE, TIMEOUT, BAD_PEER, BAD_ATTESTATION */
  client(): Promise<NodeClient> {
    return this.clientOf(NodeService);
  }

  /** Of another service that the node's enclave offers. @throws {KmsError} as client() */
  async clientOf<S extends DescService>(service: S): Promise<Client<S>> {
    this.#opening ??= this.#open().catch((error: unknown) => {
      this.close();
      throw error;
    });
    return createClient(service, await this.#opening);
  }

  close(): void {
    this.#opening = undefined;
    this.#manager?.abort();
    this.#manager = undefined;
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  async #open(): Promise<Transport> {
    const socket = await this.#reach();
    socket.once('close', () => {
      if (this.#socket === socket) this.close();
    });
    this.#socket = socket;
    const baseUrl = 'https://node';
    const settings = { initialWindowSize: WINDOW_BYTES };
    const manager = new Http2SessionManager(baseUrl, {}, { createConnection: () => socket, settings });
    this.#manager = manager;
    return createGrpcTransport({
      baseUrl,
      sessionManager: {
        authority: manager.authority,
        request: async (...args) => readEagerly(await manager.request(...args)),
        notifyResponseByteRead: (stream) => manager.notifyResponseByteRead(stream),
      },
      readMaxBytes: MAX_MESSAGE_BYTES,
      acceptCompression: [],
    });
  }

  async #reach(): Promise<tls.TLSSocket> {
    let failure: unknown;
    for (const address of this.#place.addresses) {
      try {
        return await this.#connect(address);
      } catch (error) {
        failure ??= error;
      }
    }
    throw failure;
  }

  async #connect(address: string): Promise<tls.TLSSocket> {
    const raw = net.connect(parseAddress(address));
    const socket = tls.connect({
      socket: raw,
      minVersion: 'TLSv1.3',
      ecdhCurve: 'X25519MLKEM768',
      ALPNProtocols: ['h2'],
      // Node's own check knows certificate authorities only; the configuration is ours (below).
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    });
    // Stays for the socket's life: until HTTP/2 has it, nobody else would take its errors.
    socket.on('error', () => socket.destroy());
    try {
      await once(socket, 'secureConnect', { signal: AbortSignal.timeout(HANDSHAKE_TIMEOUT_MS) });
      const node = await this.#verify(socket, address);
      // Its end may have come meanwhile, and nobody would hear of it any more.
      if (socket.destroyed) throw new KmsError('UNAVAILABLE', `the node at ${address} hung up`);
      this.#node = node;
      return socket;
    } catch (cause) {
      socket.destroy();
      raw.destroy();
      if (cause instanceof KmsError) throw cause;
      const timedOut = cause instanceof Error && cause.name === 'AbortError';
      throw new KmsError(timedOut ? 'TIMEOUT' : 'UNAVAILABLE', `the node at ${address} does not answer`, {
        cause,
      });
    }
  }

  /**
   * The session is fresh TLS 1.3, its certificate's key is bound to the node's identity in this network, and an attestation
   * document of an allowed image vouches for both.
   */
  async #verify(socket: tls.TLSSocket, address: string): Promise<VerifiedNode> {
    const certificate = socket.getPeerX509Certificate();
    const isFresh =
      socket.getProtocol() === 'TLSv1.3' && socket.alpnProtocol === 'h2' && !socket.isSessionReused();
    if (certificate === undefined || !isFresh) {
      throw new KmsError('BAD_PEER', `the node at ${address} offers no acceptable TLS session`);
    }
    const { identity } = this.#place;
    const isKnown = (found: Uint8Array): boolean => identity === undefined || equalBytes(found, identity);
    const { networkId, looksOnly = false } = this.#trust;
    const bootKeyOf = (): 'any' | undefined => (looksOnly ? 'any' : undefined);
    const claim = verifyNodeCertificate(noble, certificate.raw, networkId, isKnown, bootKeyOf);
    // OpenSSL and our parser read the same certificate: they must mean the same key.
    if (!equalBytes(claim.spki, certificate.publicKey.export({ format: 'der', type: 'spki' }))) {
      throw new KmsError('BAD_PEER', 'the certificate is ambiguous about its key');
    }
    return verifyNode(noble, this.#trust, claim);
  }
}
