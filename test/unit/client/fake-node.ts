import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { NodeApi } from '../../../enclave/api.ts';
import { apiServer } from '../../../enclave/net/api-server.ts';
import type { TlsIdentity } from '../../../enclave/net/credentials.ts';
import { TLS_POLICY } from '../../../enclave/net/tls-policy.ts';
import { ed25519Signer, nodePrimitives } from '../../../enclave/primitives.ts';
import { KmsError } from '../../../shared/errors.ts';
import { type Digest, partyId } from '../../../shared/ids.ts';
import type { ConfigurationChain } from '../../../shared/network/chain.ts';
import { committeeOf } from '../../../shared/network/configuration.ts';
import type { Signer } from '../../../shared/primitives.ts';
import type { Membership } from '../../../shared/protocol/machine.ts';
import { attestedIdentity } from '../../simulator/attested.ts';
import { foundedChain } from '../../simulator/network.ts';

const unused = (): never => {
  throw new KmsError('INTERNAL', 'this fake does not do that');
};

/** A NodeApi that only does what a test gives it. */
export function fakeApi(does: Partial<NodeApi>): NodeApi {
  return {
    describe: unused,
    join: unused,
    listKeys: unused,
    getKey: unused,
    answer: unused,
    signBatch: unused,
    signAnchor: unused,
    carryOut: unused,
    ...does,
  };
}

/** Four TLS servers with the certificates of a network; what they answer is for the test to say. */
export class FakeNetwork {
  readonly chain: ConfigurationChain;
  readonly #servers: readonly Server[];
  readonly #sockets = new Set<TLSSocket>();
  /** By party - 1; undefined accepts connections and never answers. */
  apis: (NodeApi | undefined)[] = [];

  private constructor(chain: ConfigurationChain, servers: readonly Server[]) {
    this.chain = chain;
    this.#servers = servers;
  }

  get networkId(): Digest {
    return this.chain.networkId;
  }

  static async start(): Promise<FakeNetwork> {
    const servers = await Promise.all(
      [1, 2, 3, 4].map(async () => {
        const server = createServer({ ...TLS_POLICY, ALPNProtocols: ['h2'] });
        server.listen(0, '127.0.0.1');
        await once(server, 'listening');
        return server;
      }),
    );
    const members = servers.map((server, index) => ({
      identity: signerOf(index + 1).publicKey,
      address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    }));
    const network = new FakeNetwork(foundedChain(members), servers);
    for (const index of servers.keys()) {
      await network.present(index + 1, signerOf(index + 1), network.networkId);
      network.#serve(index);
    }
    return network;
  }

  /** From now on this party shows the certificate of this identity for this network. */
  async present(party: number, identity: Signer, networkId: Digest): Promise<void> {
    this.show(party, await attestedIdentity(identity, networkId));
  }

  show(party: number, identity: TlsIdentity): void {
    this.#servers[party - 1]!.setSecureContext({ ...TLS_POLICY, ...identity });
  }

  membership(party: number): Membership {
    const { digest, signed } = this.chain.epochStart;
    const { epoch, members } = signed.configuration;
    return {
      networkId: this.networkId,
      configuration: digest,
      epoch,
      committee: committeeOf(signed.configuration),
      self: partyId(party),
      identities: new Map(members.map((member) => [member.party, member.identity])),
      signer: signerOf(party),
      primitives: nodePrimitives,
    };
  }

  /** Stops listening and drops the connections of one party. */
  async stop(party: number): Promise<void> {
    const server = this.#servers[party - 1]!;
    const closed = once(server, 'close');
    server.close();
    this.disconnect();
    await closed;
  }

  disconnect(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    for (const [index, server] of this.#servers.entries()) if (server.listening) await this.stop(index + 1);
  }

  #serve(index: number): void {
    this.#servers[index]!.on('secureConnection', (socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.once('close', () => this.#sockets.delete(socket));
      const api = this.apis[index];
      if (api !== undefined) apiServer(api).serve(socket);
    });
  }
}

export function signerOf(party: number): Signer {
  return ed25519Signer(new Uint8Array(32).fill(party));
}
