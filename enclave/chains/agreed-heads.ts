import type { Duplex } from 'node:stream';
import { egressLine } from '../../shared/egress.ts';
import { KmsError } from '../../shared/errors.ts';
import type { Digest } from '../../shared/ids.ts';
import type { Link } from '../../shared/link.ts';
import type { ChainAccess } from '../../shared/network/chain-access.ts';
import type { RpcEndpoint } from '../../shared/network/rpc.ts';
import type { SealedStore } from '../store/sealed-store.ts';
import { AgreedChain, type EndpointSet } from './agreed-chain.ts';
import type { Block } from './block.ts';
import type { ChainEndpoint } from './endpoint.ts';
import { HeadFloor } from './head-floor.ts';
import { RpcClient } from './rpc-client.ts';

/** An endpoint that is asked, until it is not named any more. */
export interface OpenEndpoint extends ChainEndpoint {
  close(): void;
}

export interface AgreedHeadsOptions {
  /** How the configuration that is valid now says that a chain is asked; undefined for a chain that it does not name. */
  readonly accessTo: (chainId: bigint) => ChainAccess | undefined;
  readonly open: (endpoint: RpcEndpoint) => OpenEndpoint;
  /** Tier 1. */
  readonly store: SealedStore;
  /** Enclave time. */
  readonly nowMs: () => number;
  readonly requestMs?: number;
}

/** Endpoints of configurations, through the parent: who answers is for TLS to find out. */
export function endpointsThrough(link: Link<Duplex>): AgreedHeadsOptions['open'] {
  return (endpoint) =>
    new RpcClient(endpoint, async (address) => {
      const stream = await link.connect('egress');
      stream.write(egressLine(address));
      return stream;
    });
}

/** What this enclave believes about the chains of its network: the gateway's, and the hosts' that the configuration names. */
export class AgreedHeads {
  readonly #options: AgreedHeadsOptions;
  readonly #chains = new Map<bigint, Promise<AgreedChain>>();
  readonly #endpoints = new Map<string, OpenEndpoint>();

  constructor(options: AgreedHeadsOptions) {
    this.#options = options;
  }

  /**
   * The newest block of a chain, not too old. @throws {KmsError} BAD_INPUT for a chain that the configuration does not name;
   *   STALE_HEAD, UNAVAILABLE, STORE_FAILED
   */
  async head(chainId: bigint): Promise<Block> {
    return (await this.chain(chainId)).current();
  }

  /**
   * Whether a header that hashes to this is one of the chain, agreed by its endpoints, not above the head, and recent: not below
   * the floor with which this node started, at most MAX_HEADER_LAG_S behind the head, and not older than a head may be.
   * @throws {KmsError} as head()
   */
  async isAgreed(chainId: bigint, blockHash: Digest): Promise<boolean> {
    return (await this.agreedBlock(chainId, blockHash)) !== undefined;
  }

  /** The block of isAgreed(); undefined where that is false. @throws {KmsError} as head() */
  async agreedBlock(chainId: bigint, blockHash: Digest): Promise<Block | undefined> {
    return (await this.chain(chainId)).agreedBlock(blockHash);
  }

  /** @throws {KmsError} BAD_INPUT for a chain that the configuration does not name; STORE_FAILED */
  async chain(chainId: bigint): Promise<AgreedChain> {
    this.#accessTo(chainId);
    const known = this.#chains.get(chainId);
    if (known !== undefined) return known;
    const opening = this.#open(chainId);
    this.#chains.set(chainId, opening);
    // A store that failed may work the next time.
    opening.catch(() => this.#chains.delete(chainId));
    return opening;
  }

  /** Ends all connections. */
  close(): void {
    for (const endpoint of this.#endpoints.values()) endpoint.close();
    this.#endpoints.clear();
  }

  async #open(chainId: bigint): Promise<AgreedChain> {
    const { store, nowMs, requestMs } = this.#options;
    return new AgreedChain({
      chainId,
      rules: () => this.#accessTo(chainId),
      rpc: () => this.#endpointsOf(chainId),
      floor: await HeadFloor.open(store, chainId),
      nowMs,
      ...(requestMs === undefined ? {} : { requestMs }),
    });
  }

  #accessTo(chainId: bigint): ChainAccess {
    const access = this.#options.accessTo(chainId);
    if (access === undefined) {
      throw new KmsError('BAD_INPUT', `the configuration names no endpoints of chain ${chainId}`);
    }
    return access;
  }

  #endpointsOf(chainId: bigint): EndpointSet {
    const { k, endpoints } = this.#accessTo(chainId).rpc;
    const names = endpoints.map((one) => `${chainId} ${one.url} ${one.spkiPins.join(' ')}`);
    for (const [name, endpoint] of this.#endpoints) {
      if (!name.startsWith(`${chainId} `) || names.includes(name)) continue;
      endpoint.close();
      this.#endpoints.delete(name);
    }
    return { k, endpoints: endpoints.map((one, i) => this.#endpoint(names[i]!, one)) };
  }

  #endpoint(name: string, of: RpcEndpoint): OpenEndpoint {
    const known = this.#endpoints.get(name);
    if (known !== undefined) return known;
    const opened = this.#options.open(of);
    this.#endpoints.set(name, opened);
    return opened;
  }
}
