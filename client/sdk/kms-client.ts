import { KmsError } from '../../shared/errors.ts';
import { type KeyId, keyId, type PartyId } from '../../shared/ids.ts';
import { Kernel } from '../../shared/math/kernel/kernel.ts';
import { ConfigurationChain } from '../../shared/network/chain.ts';
import { decodeConfigurations } from '../../shared/network/configuration-file.ts';
import { decodeGenesis, type Genesis } from '../../shared/network/genesis.ts';
import type { SignedConfiguration } from '../../shared/network/signed-configuration.ts';
import { noble } from '../../shared/noble.ts';
import { concat, fromHex, toHex } from '../../shared/wire/bytes.ts';
import { meaningOf } from '../fault.ts';
import { failureOf, Network, PATIENCE, type Patience } from '../network.ts';
import type { KnownBlock } from '../node-trust.ts';
import { acceptChain, type ClientAnchors } from './configuration-pin.ts';
import { NetworkKey } from './network-key.ts';

export interface ClientOptions extends ClientAnchors {
  /** Or its canonical bytes. */
  readonly genesis: Genesis | Uint8Array;
  /** Numbers 0, 1, 2, ..., or the bytes of a file of them; verified from genesis on. */
  readonly configurations: readonly SignedConfiguration[] | Uint8Array;
  /** Milliseconds. */
  readonly patience?: Partial<Patience>;
  /** Of the gateway chain, in a network that has one: without it only images of configuration 0 count (GatewayBlock). */
  readonly block?: KnownBlock | undefined;
}

/** What a node says about itself. */
export interface NodeStatus {
  readonly party: PartyId;
  readonly address: string;
  readonly up: boolean;
  /** What the node is doing, or why it does not answer. */
  readonly phase: string;
  readonly connectedPeers: readonly number[];
  readonly keyCount: number;
}

/** bfv-16384 with all Galois keys stays below. */
const MAX_KEY_BYTES = 512 << 20;
/**
 * The user's side of a key network. Talks to every node through TLS that ends in the node's enclave and believes none of
 * them alone: a key needs n - t signatures.
 */
export class KmsClient {
  readonly network: Network;
  readonly #kernel: Kernel;

  private constructor(network: Network, kernel: Kernel) {
    this.network = network;
    this.#kernel = kernel;
  }

  /**
   * Connections are opened at the first question.
   * @throws {KmsError} BAD_GENESIS, BAD_CONFIGURATION, BAD_SIGNATURE, CONFLICT; BAD_INPUT for a production network without a pin
   */
  static async connect(options: ClientOptions): Promise<KmsClient> {
    const { genesis, configurations, patience, block } = options;
    const chain = ConfigurationChain.of(
      noble,
      genesis instanceof Uint8Array ? decodeGenesis(genesis) : genesis,
      configurations instanceof Uint8Array ? decodeConfigurations(configurations) : configurations,
    );
    await acceptChain(chain, options);
    return new KmsClient(new Network(chain, { ...PATIENCE, ...patience }, block), await Kernel.load());
  }

  [Symbol.dispose](): void {
    this.network.close();
  }

  /** One entry per party of the newest configuration. */
  async status(): Promise<readonly NodeStatus[]> {
    const { values, faults } = await this.network.ask((node, options) => node.describe({}, options));
    return this.network.members.map(({ party, address }): NodeStatus => {
      const node = values.get(party);
      if (node === undefined) {
        const phase = meaningOf(faults.get(party)?.code ?? 'TIMEOUT');
        return { party, address, up: false, phase, connectedPeers: [], keyCount: 0 };
      }
      const { phase, connectedPeers, keyIds } = node;
      return { party, address, up: true, phase, connectedPeers, keyCount: keyIds.length };
    });
  }

  /** Keys that more than t nodes know, so at least one honest one. @throws {KmsError} NOT_ENOUGH_PARTIES */
  async listKeys(): Promise<readonly KeyId[]> {
    const { committee } = this.network;
    const answers = await this.network.ask(async (node, options) => {
      const { keyIds } = await node.listKeys({}, options);
      return new Set(keyIds.map(keyIdFrom));
    });
    if (answers.values.size < committee.decodingQuorum) {
      throw failureOf(answers, committee, committee.decodingQuorum);
    }
    const counts = new Map<KeyId, number>();
    for (const ids of answers.values.values())
      for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
    return [...counts].flatMap(([id, count]) => (count > committee.t ? [id] : [])).sort();
  }

  /**
   * A key with its certificate verified, from the first node that has it.
   * @throws {KmsError} UNKNOWN_KEY, NOT_ENOUGH_PARTIES
   */
  getKey(id: KeyId): Promise<NetworkKey> {
    return this.network.first(async (node, options) => {
      const chunks: Uint8Array[] = [];
      let size = 0;
      for await (const { chunk } of node.getKey({ keyId: fromHex(id) }, options)) {
        size += chunk.length;
        if (size > MAX_KEY_BYTES) throw new KmsError('TOO_LARGE', 'the key record is too large');
        chunks.push(chunk);
      }
      return this.openKey(id, concat(...chunks));
    });
  }

  /** Verifies a certified record that was kept somewhere. @throws {KmsError} as NetworkKey.open */
  openKey(id: KeyId, certified: Uint8Array): NetworkKey {
    return NetworkKey.open(this.#kernel, this.network.electorate, id, certified);
  }
}

function keyIdFrom(raw: Uint8Array): KeyId {
  return keyId(toHex(raw));
}
