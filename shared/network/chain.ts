import { KmsError } from '../errors.ts';
import type { Digest } from '../ids.ts';
import type { Hashes, Verifier } from '../primitives.ts';
import { NO_DIGEST } from '../protocol/statement.ts';
import { type ChainAccess, isSameAccess } from './chain-access.ts';
import {
  badConfiguration,
  type Configuration,
  checkConfiguration,
  configurationDigest,
  type Measurement,
} from './configuration.ts';
import { type Genesis, networkIdOf } from './genesis.ts';
import type { Governance } from './governance.ts';
import { checkGovernanceSignatures, type SignedConfiguration } from './signed-configuration.ts';
import { checkSuccession, listedSince, unbroken } from './succession.ts';

/** One accepted configuration. */
export interface ConfigurationLink {
  readonly signed: SignedConfiguration;
  readonly digest: Digest;
  /** When its hash became public; the delay of new measurements never begins before. */
  readonly publishedBlock: number;
}

/**
 * The configurations of one network, an unbroken chain from its genesis, each signed by the quorum of its predecessor's
 * governance (decision 0004). Immutable: extend() gives a longer chain, so that a caller can make it durable before it
 * uses it. Only acceptable chains exist.
 *
 * At most two configurations are valid at a block: c+1 from its activation on, and c until the end of the window that
 * c+1 states. What narrows trust or moves an address acts with the activation, a new measurement later.
 */
export class ConfigurationChain {
  readonly genesis: Genesis;
  readonly networkId: Digest;
  readonly links: readonly ConfigurationLink[];
  /**
   * A second successor of one configuration, signed by a quorum as well. Two quorums share an honest key, so this is
   * never an accident of one operator: the network has to be looked at by people, and its nodes stop.
   */
  readonly conflict: SignedConfiguration | undefined;
  readonly #crypto: Hashes & Verifier;

  private constructor(
    crypto: Hashes & Verifier,
    genesis: Genesis,
    networkId: Digest,
    links: readonly ConfigurationLink[],
    conflict?: SignedConfiguration,
  ) {
    this.#crypto = crypto;
    this.genesis = genesis;
    this.networkId = networkId;
    this.links = links;
    this.conflict = conflict;
  }

  /**
   * The chain of a genesis and its configurations 0, 1, 2, ...
   * @throws {KmsError} BAD_GENESIS, BAD_CONFIGURATION (also for none at all), BAD_SIGNATURE, CONFLICT
   */
  static of(
    crypto: Hashes & Verifier,
    genesis: Genesis,
    configurations: readonly SignedConfiguration[],
  ): ConfigurationChain {
    const chain = configurations.reduce(
      (so, signed) => so.extend(signed),
      new ConfigurationChain(crypto, genesis, networkIdOf(crypto, genesis), []),
    );
    if (chain.links.length === 0) throw badConfiguration('a network has at least configuration 0');
    if (chain.conflict !== undefined) throw conflicting(chain.conflict.configuration);
    return chain;
  }

  /** Without any configuration yet: for extend(). @throws {KmsError} BAD_GENESIS */
  static begin(crypto: Hashes & Verifier, genesis: Genesis): ConfigurationChain {
    return new ConfigurationChain(crypto, genesis, networkIdOf(crypto, genesis), []);
  }

  /** The newest configuration, active or not. */
  get newest(): ConfigurationLink {
    const link = this.links.at(-1);
    if (link === undefined) throw badConfiguration('the network has no configuration yet');
    return link;
  }

  /**
   * The configuration with which the newest one's epoch began. It fixes the committee: later ones of the epoch change
   * addresses and measurements only, so its digest is what signatures of the epoch bind.
   */
  get epochStart(): ConfigurationLink {
    const { epoch } = this.newest.signed.configuration;
    return this.links.find(({ signed }) => signed.configuration.epoch === epoch) ?? this.newest;
  }

  /** The keys that sign the next configuration. */
  get governance(): Governance {
    return this.governanceFor(this.links.length);
  }

  /** The keys that sign configuration `number`. */
  governanceFor(number: number): Governance {
    return this.links[number - 1]?.signed.configuration.governance ?? this.genesis.governance;
  }

  /**
   * Adds the next configuration; one that is known already changes nothing. A rival of a known one, signed as validly,
   * gives a chain with a `conflict`, which takes nothing any more.
   * @param publishedBlock when it became public: the gateway chain's word, or the block at which this node was given it
   * @throws {KmsError} BAD_CONFIGURATION, BAD_SIGNATURE, CONFLICT
   */
  extend(
    signed: SignedConfiguration,
    publishedBlock: number = signed.configuration.activationBlock,
  ): ConfigurationChain {
    const { configuration } = signed;
    if (this.conflict !== undefined) throw conflicting(this.conflict.configuration);
    this.#checkPlace(configuration);
    const { number } = configuration;
    const digest = configurationDigest(this.#crypto, configuration);
    if (this.links[number]?.digest === digest) return this;
    checkGovernanceSignatures(this.#crypto, this.governanceFor(number), signed);
    this.checkNext(configuration);
    return number < this.links.length
      ? this.#with(this.links, signed)
      : this.#with([...this.links, { signed, digest, publishedBlock }]);
  }

  /**
   * Every rule but the signatures, for a successor of any configuration of this chain.
   * @throws {KmsError} BAD_CONFIGURATION
   */
  checkNext(configuration: Configuration): void {
    this.#checkPlace(configuration);
    checkConfiguration(configuration);
    checkSuccession(this.genesis, this.#history(configuration.number), configuration);
  }

  /** The one or two configurations valid at a block, the newer one last. */
  validAt(block: number): readonly Configuration[] {
    const at = this.#currentIndex(block);
    const current = this.links[at]!.signed.configuration;
    const before = this.links[at - 1]?.signed.configuration;
    return before !== undefined && block <= current.overlapUntilBlock ? [before, current] : [current];
  }

  /**
   * Images whose attestation counts at a block: those of the newest active configuration, new ones among them only after
   * the delay, which begins when the configuration is both active and public.
   */
  allowedMeasurements(block: number): readonly Measurement[] {
    const at = this.#currentIndex(block);
    const { measurements } = this.links[at]!.signed.configuration;
    return measurements.filter((one) => this.measurementCountsFrom(at, one) <= block);
  }

  /**
   * How nodes ask a chain, the gateway's or a host, at a block of the gateway: as the newest active configuration says whose word
   * counts, which is after the delay, as with everything that widens trust. Until then they ask as before, and a new
   * host not at all. A host that the newest active one does not name is not asked any more.
   */
  accessAt(chainId: bigint, block: number): ChainAccess | undefined {
    const current = this.#currentIndex(block);
    const at = (number: number): ChainAccess | undefined =>
      accessIn(this.genesis, this.links[number]!.signed.configuration, chainId);
    for (let number = current; number >= 0; number--) {
      const access = at(number);
      if (access === undefined) return undefined;
      const history = this.#history(number + 1);
      const since = unbroken(history, (one) => isSameAccess(accessIn(this.genesis, one, chainId), access));
      if (this.#countsFrom(since) <= block) return access;
    }
    return undefined;
  }

  /** First block at which a measurement of configuration `number` counts. */
  measurementCountsFrom(number: number, measurement: Measurement): number {
    return this.#countsFrom(listedSince(this.#history(number + 1), measurement));
  }

  /** First block at which that counts by which configuration `number` widened trust. */
  #countsFrom(number: number): number {
    const { signed, publishedBlock } = this.links[number]!;
    const { activationBlock } = signed.configuration;
    return number === 0 ? 0 : Math.max(activationBlock, publishedBlock) + this.genesis.measurementDelayBlocks;
  }

  #with(links: readonly ConfigurationLink[], conflict?: SignedConfiguration): ConfigurationChain {
    return new ConfigurationChain(this.#crypto, this.genesis, this.networkId, links, conflict);
  }

  #currentIndex(block: number): number {
    const later = this.links.findIndex(({ signed }) => signed.configuration.activationBlock > block);
    return (later < 0 ? this.links.length : later) - 1;
  }

  /** It is of this network and follows a configuration of this chain: cheap to see, and public. */
  #checkPlace({ number, networkId, predecessor }: Configuration): void {
    if (networkId !== this.networkId) {
      throw badConfiguration(`the configuration is of network ${networkId}, not ${this.networkId}`);
    }
    if (number > this.links.length) {
      throw badConfiguration(`configuration ${this.links.length} is missing before ${number}`);
    }
    if (predecessor !== (this.links[number - 1]?.digest ?? NO_DIGEST)) {
      throw badConfiguration(
        `configuration ${number} does not follow this network's configuration before it`,
      );
    }
  }

  /** Configurations 0 to count - 1. */
  #history(count: number): readonly Configuration[] {
    return this.links.slice(0, count).map(({ signed }) => signed.configuration);
  }
}

function conflicting({ number }: Configuration): KmsError {
  return new KmsError(
    'CONFLICT',
    `there are two signed configurations ${number}; the network has to be examined`,
  );
}

function accessIn(
  { gateway }: Genesis,
  { rpc, maxHeadAgeS, hosts }: Configuration,
  chainId: bigint,
): ChainAccess | undefined {
  if (chainId !== gateway.chainId) return hosts.find((one) => one.chainId === chainId);
  return chainId === 0n ? undefined : { chainId, finality: gateway.finality, maxHeadAgeS, rpc };
}
