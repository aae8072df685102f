import { KmsError } from '../shared/errors.ts';
import type { Digest } from '../shared/ids.ts';
import { ConfigurationChain, type ConfigurationLink } from '../shared/network/chain.ts';
import type { ChainHead, GatewayChain } from '../shared/network/chain-head.ts';
import { badConfiguration, type Configuration } from '../shared/network/configuration.ts';
import { decodeGenesis, encodeGenesis, hasGateway, MAX_GENESIS_BYTES } from '../shared/network/genesis.ts';
import type { Measurement } from '../shared/network/measurement.ts';
import type { NetworkClass } from '../shared/network/network-class.ts';
import {
  decodeSignedConfiguration,
  encodeSignedConfiguration,
  MAX_SIGNED_CONFIGURATION_BYTES,
  type SignedConfiguration,
} from '../shared/network/signed-configuration.ts';
import type { Hashes, Verifier } from '../shared/primitives.ts';
import { equalBytes } from '../shared/wire/bytes.ts';
import { bytes, type Codec, decode, encode, list, optional, struct, u8, u32 } from '../shared/wire/codec.ts';
import type { SealedStore } from './store/sealed-store.ts';

/** What this build is; measured with it. */
export interface Build {
  readonly class: NetworkClass;
  /** SHA-256 of the one attestation root that the build pins. */
  readonly attestationRoot: Digest;
}

export interface ConfigurationsParts {
  readonly crypto: Hashes & Verifier;
  readonly build: Build;
  /** In networks without a gateway; undefined: no chain to ask (shared/network/chain-head.ts). */
  readonly head: ChainHead | undefined;
}

const RECORD = 'node/network';
const FORMAT = 1;
const MAX_CONFIGURATIONS = 4096;

interface NetworkRecord {
  readonly format: number;
  readonly genesis: Uint8Array;
  readonly links: readonly { readonly publishedBlock: number; readonly signed: Uint8Array }[];
  readonly conflict: Uint8Array | undefined;
}

const signedBytes = bytes(MAX_SIGNED_CONFIGURATION_BYTES);
const recordCodec: Codec<NetworkRecord> = struct({
  format: u8,
  genesis: bytes(MAX_GENESIS_BYTES),
  links: list<NetworkRecord['links'][number]>(
    struct({ publishedBlock: u32, signed: signedBytes }),
    MAX_CONFIGURATIONS,
  ),
  conflict: optional(signedBytes),
});

/**
 * The one genesis this node belongs to and the configurations it has accepted: sealed in tier 1 before they are used, never
 * exchanged for another genesis, only ever extended. A sealed conflict stays.
 */
export class Configurations {
  readonly #parts: ConfigurationsParts;
  #store: SealedStore | undefined;
  #chain: ConfigurationChain | undefined;
  #gateway: GatewayChain | undefined;
  /** Of the chain; nothing before there is one. */
  #genesisBytes: Uint8Array = new Uint8Array(0);

  constructor(parts: ConfigurationsParts) {
    this.#parts = parts;
  }

  /**
   * What these bytes say, without being kept: where a node learns which storage is its own.
   * @throws {KmsError} as join()
   */
  preview(genesisBytes: Uint8Array, configurations: readonly Uint8Array[]): ConfigurationChain {
    const chain = configurations.reduce(
      (so, one) => so.extend(decodeSignedConfiguration(one)),
      this.#begin(genesisBytes),
    );
    if (chain.links.length === 0) throw badConfiguration('configuration 0 is missing');
    return chain;
  }

  /**
   * From now on what is accepted is kept here, and what was kept here before is known.
   * @param store tier 1
   * @throws {KmsError} STORE_FAILED, or as join() for a record of another build
   */
  async attach(store: SealedStore): Promise<void> {
    this.#store = store;
    const sealed = await store.get(RECORD);
    if (sealed !== undefined) this.#chain = this.#read(sealed);
  }

  /** The gateway chain, by which configurations are known and become valid if the network has one. */
  follow(gateway: GatewayChain): void {
    this.#gateway = gateway;
  }

  /** Undefined before the node has joined. Look at its `conflict` before you use it. */
  get chain(): ConfigurationChain | undefined {
    return this.#chain;
  }

  /** The configurations valid now, one or two, the newer one last; none before the node has joined. */
  valid(): readonly Configuration[] {
    return this.#chain?.validAt(this.#blockIn(this.#chain)) ?? [];
  }

  /** What a peer's attestation may show now; an empty list means nothing, never "any". */
  measurements(): readonly Measurement[] {
    return this.#chain?.allowedMeasurements(this.#blockIn(this.#chain)) ?? [];
  }

  /**
   * Joins a network or takes further configurations of the one it has joined; what is known already is fine. Durable
   * when the promise resolves. One call at a time.
   * @returns the chain; one with a `conflict` means that the node must stop
   * @throws {KmsError} BAD_GENESIS of another network, class or root; BAD_CONFIGURATION, also for one that is not published;
   *   BAD_SIGNATURE; CONFLICT; STALE_HEAD, UNAVAILABLE if a configuration is new and the chain now is not known
   */
  async join(genesisBytes: Uint8Array, configurations: readonly Uint8Array[]): Promise<ConfigurationChain> {
    const known = this.#chain;
    if (known !== undefined && !equalBytes(this.#genesisBytes, genesisBytes)) {
      throw new KmsError('BAD_GENESIS', 'this node belongs to another network, for good');
    }
    let chain = known ?? this.#begin(genesisBytes);
    for (const one of configurations) {
      chain = await this.#extend(chain, decodeSignedConfiguration(one));
      if (chain.conflict !== undefined) break;
    }
    if (known === undefined && chain.conflict !== undefined) {
      throw new KmsError('CONFLICT', 'the configurations contradict each other; the node has not joined');
    }
    if (chain !== known) {
      if (this.#store === undefined)
        throw new KmsError('INTERNAL', 'there is nowhere to keep configurations');
      await this.#store.put(RECORD, write(chain));
      this.#chain = chain;
      this.#genesisBytes = genesisBytes;
    }
    return chain;
  }

  #headIn({ genesis }: ConfigurationChain): ChainHead | undefined {
    return hasGateway(genesis) ? this.#gateway : this.#parts.head;
  }

  #blockIn(chain: ConfigurationChain): number {
    return this.#headIn(chain)?.block() ?? 0;
  }

  async #extend(chain: ConfigurationChain, signed: SignedConfiguration): Promise<ConfigurationChain> {
    const block = this.#blockIn(chain);
    const longer = chain.extend(signed, block);
    if (longer.conflict !== undefined) return this.#withRival(chain, longer, signed.configuration.number);
    if (longer.links.length === chain.links.length || signed.configuration.number === 0) return longer;
    const head = this.#headIn(chain);
    if (head === undefined) {
      throw badConfiguration(
        'this build sees no gateway chain, so it cannot know when a configuration becomes valid: it keeps configuration 0',
      );
    }
    // Delays count from the block at which it came: an old head would let them begin in the past.
    const now = await head.now();
    const { number, overlapUntilBlock } = chain.newest.signed.configuration;
    if (now <= overlapUntilBlock) {
      throw badConfiguration(
        `the window of configuration ${number} is open until block ${overlapUntilBlock}; now is block ${now}`,
      );
    }
    if (hasGateway(chain.genesis)) await this.#requirePublished(longer.newest);
    return chain.extend(signed, now);
  }

  /** Retired keys stop nobody: where the chain holds what is accepted here, a rival of it is nobody's. */
  async #withRival(
    chain: ConfigurationChain,
    split: ConfigurationChain,
    number: number,
  ): Promise<ConfigurationChain> {
    const published = hasGateway(chain.genesis) ? await this.#gateway?.published(number) : undefined;
    if (published === undefined || published !== chain.links[number]?.digest) return split;
    throw new KmsError(
      'CONFLICT',
      `this is a rival of configuration ${number}, which is on the gateway chain`,
    );
  }

  /** What is signed and not published, be it by retired keys, is nobody's configuration. */
  async #requirePublished({ digest, signed: { configuration } }: ConfigurationLink): Promise<void> {
    const { number } = configuration;
    const published = await this.#gateway?.published(number);
    if (published === digest) return;
    if (published !== undefined) {
      throw new KmsError('CONFLICT', `the gateway chain has another configuration ${number} than this one`);
    }
    throw badConfiguration(
      `configuration ${number} is not on the gateway chain; its operators publish it first (kms net config publish)`,
    );
  }

  /** @throws {KmsError} BAD_GENESIS unless this build may join such a network */
  #begin(genesisBytes: Uint8Array): ConfigurationChain {
    const { build, crypto } = this.#parts;
    const genesis = decodeGenesis(genesisBytes);
    if (genesis.class !== build.class) {
      throw new KmsError('BAD_GENESIS', `a ${build.class} build joins no ${genesis.class} network`);
    }
    if (genesis.attestationRoot !== build.attestationRoot) {
      throw new KmsError('BAD_GENESIS', 'the network names another attestation root than this build pins');
    }
    return ConfigurationChain.begin(crypto, genesis);
  }

  #read(sealed: Uint8Array): ConfigurationChain {
    const { format, genesis, links, conflict } = decode(recordCodec, sealed);
    if (format !== FORMAT) throw new KmsError('STORE_FAILED', 'the network record has an unknown format');
    const chain = links.reduce(
      (so, { signed, publishedBlock }) => so.extend(decodeSignedConfiguration(signed), publishedBlock),
      this.#begin(genesis),
    );
    this.#genesisBytes = genesis;
    return conflict === undefined ? chain : chain.extend(decodeSignedConfiguration(conflict));
  }
}

function write({ genesis, links, conflict }: ConfigurationChain): Uint8Array {
  return encode(recordCodec, {
    format: FORMAT,
    genesis: encodeGenesis(genesis),
    links: links.map(({ signed, publishedBlock }) => ({
      publishedBlock,
      signed: encodeSignedConfiguration(signed),
    })),
    conflict: conflict && encodeSignedConfiguration(conflict),
  });
}
