import { KmsError } from '../../shared/errors.ts';
import type { GaloisOption } from '../../shared/fhe/galois.ts';
import { type KeyId, keyId, type PartyId } from '../../shared/ids.ts';
import { Kernel } from '../../shared/math/kernel/kernel.ts';
import { ConfigurationChain } from '../../shared/network/chain.ts';
import { decodeConfigurations } from '../../shared/network/configuration-file.ts';
import { decodeGenesis, type Genesis } from '../../shared/network/genesis.ts';
import type { SignedConfiguration } from '../../shared/network/signed-configuration.ts';
import { noble } from '../../shared/noble.ts';
import type { Rng } from '../../shared/primitives.ts';
import type { UserKey } from '../../shared/protocol/user-decryption/user-key.ts';
import { concat, fromHex, toHex } from '../../shared/wire/bytes.ts';
import { GaloisKeys } from '../../shared/wire/generated/kms/v1/node_pb.js';
import { meaningOf } from '../fault.ts';
import { failureOf, Network, PATIENCE, type Patience } from '../network.ts';
import { acceptChain, type ClientAnchors } from './configuration-pin.ts';
import { type Decryption, decryptForUser, decryptPublicly } from './decryption.ts';
import { NetworkKey } from './network-key.ts';

export interface ClientOptions extends ClientAnchors {
  /** Or its canonical bytes. */
  readonly genesis: Genesis | Uint8Array;
  /** Numbers 0, 1, 2, ..., or the bytes of a file of them; verified from genesis on. */
  readonly configurations: readonly SignedConfiguration[] | Uint8Array;
  /** Milliseconds; key generation has a limit of its own. */
  readonly patience?: Partial<Patience>;
  /** Secure randomness; default: the platform's. */
  readonly rng?: Rng;
}

export interface KeyGeneration {
  readonly preset: string;
  readonly galois?: GaloisOption;
  /** Default: 30 minutes. */
  readonly timeoutMs?: number;
  /** @param total 0 when unknown */
  readonly onProgress?: (phase: string, done: number, total: number) => void;
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

const KEYGEN_TIMEOUT_MS = 30 * 60_000;
/** bfv-16384 with all Galois keys stays below. */
const MAX_KEY_BYTES = 512 << 20;
const galoisChoices: Readonly<Record<GaloisOption, GaloisKeys>> = {
  none: GaloisKeys.NONE,
  sum: GaloisKeys.SUM,
  all: GaloisKeys.ALL,
};

/**
 * The user's side of a key network. Talks to every node through TLS that ends in the node's enclave and believes none of
 * them alone: a key needs n - t signatures, a decrypted value 2t + 1 that agree.
 *
 * KEY-EXPOSING, DEVELOPMENT ONLY: `decrypt` and `userDecrypt` decrypt whatever they are given. One decryption of a
 * ciphertext of the caller's own making reveals the key (protocols.md section 5).
 */
export class KmsClient {
  readonly network: Network;
  readonly #kernel: Kernel;
  readonly #rng: Rng;

  private constructor(network: Network, kernel: Kernel, rng: Rng) {
    this.network = network;
    this.#kernel = kernel;
    this.#rng = rng;
  }

  /**
   * Connections are opened at the first question.
   * @throws {KmsError} BAD_GENESIS, BAD_CONFIGURATION, BAD_SIGNATURE, CONFLICT; BAD_INPUT for a production network without a pin
   */
  static async connect(options: ClientOptions): Promise<KmsClient> {
    const { genesis, configurations, patience, rng = platformRng } = options;
    const chain = ConfigurationChain.of(
      noble,
      genesis instanceof Uint8Array ? decodeGenesis(genesis) : genesis,
      configurations instanceof Uint8Array ? decodeConfigurations(configurations) : configurations,
    );
    await acceptChain(chain, options);
    return new KmsClient(new Network(chain, { ...PATIENCE, ...patience }), await Kernel.load(), rng);
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

  /**
   * Has the network generate a key that nobody holds. All nodes are asked under one request id. Any node's word for the
   * key id is enough, since the key is fetched and its n - t signatures and its request are verified.
   * @throws {KmsError} UNKNOWN_PRESET, SETUP_ABORTED, NOT_ENOUGH_PARTIES, ...
   */
  async generateKey(wanted: KeyGeneration): Promise<NetworkKey> {
    const { preset, galois = 'none', timeoutMs = KEYGEN_TIMEOUT_MS, onProgress } = wanted;
    const requestId = this.#rng(32);
    const request = { requestId, preset, galoisKeys: galoisChoices[galois] };
    const fetched = new Map<KeyId, Promise<NetworkKey>>();
    let made: NetworkKey | undefined;
    let reached = 0;
    const advance = (phase: string, done: number, total: number): void => {
      // Every node reports; the one that is furthest speaks.
      const share = total > 0 ? done / total : 0;
      if (share < reached) return;
      reached = share;
      onProgress?.(phase, done, total);
    };
    const answers = await this.network.ask(
      async (node, options) => {
        for await (const { phase, done, total, keyId: id } of node.generateKey(request, options)) {
          if (id.length > 0) return keyIdFrom(id);
          advance(phase, done, total);
        }
        throw new KmsError('UNAVAILABLE', 'the node ended without a key');
      },
      async (_party, id) => {
        const fetching = fetched.get(id) ?? this.getKey(id);
        fetched.set(id, fetching);
        const key = await fetching;
        const { request: of } = key.record;
        if (of.request !== toHex(requestId) || of.preset !== preset || of.galois !== galois) {
          throw new KmsError('WRONG_KEY', 'the node named a key of another request');
        }
        made = key;
        return true;
      },
      { timeoutMs },
    );
    if (made === undefined) throw failureOf(answers, this.network.committee, 1);
    return made;
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

  /** KEY-EXPOSING, see decryptPublicly. */
  decrypt(envelope: Uint8Array): Promise<Decryption> {
    return decryptPublicly(this.network, this.#rng, envelope);
  }

  /** KEY-EXPOSING, see decryptForUser. */
  userDecrypt(envelope: Uint8Array, user: UserKey): Promise<Decryption> {
    return decryptForUser(this.network, this.#kernel, this.#rng, envelope, user);
  }
}

function keyIdFrom(raw: Uint8Array): KeyId {
  return keyId(toHex(raw));
}

function platformRng(sizeBytes: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(sizeBytes));
}
