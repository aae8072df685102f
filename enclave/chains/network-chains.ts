import type { ConfigurationChain } from '../../shared/network/chain.ts';
import { type Genesis, hasGateway } from '../../shared/network/genesis.ts';
import type { NodeParts } from '../node-parts.ts';
import type { SealedStore } from '../store/sealed-store.ts';
import { AgreedHeads, endpointsThrough } from './agreed-heads.ts';
import { GatewayHead } from './gateway-head.ts';
import { GatewayRegistry } from './gateway-registry.ts';

export interface NetworkChainsOptions {
  readonly parts: Pick<NodeParts, 'link' | 'nowMs' | 'log' | 'headPollMs'>;
  /** Tier 1. */
  readonly store: SealedStore;
  readonly genesis: Genesis;
  /** What is accepted so far. */
  readonly configurations: () => ConfigurationChain;
  /** The gateway chain has a new block: what is valid may have changed. */
  readonly onBlock: () => void;
}

/** The chains of a network with a gateway, as an enclave sees them. */
export class NetworkChains {
  readonly heads: AgreedHeads;
  readonly gateway: GatewayHead;
  readonly registry: GatewayRegistry;

  private constructor(heads: AgreedHeads, gateway: GatewayHead, registry: GatewayRegistry) {
    this.heads = heads;
    this.gateway = gateway;
    this.registry = registry;
  }

  /** Undefined for a network without a gateway. @throws {KmsError} STORE_FAILED */
  static async open(options: NetworkChainsOptions): Promise<NetworkChains | undefined> {
    const { parts, store, genesis, configurations, onBlock } = options;
    if (!hasGateway(genesis)) return undefined;
    const { link, nowMs, log, headPollMs } = parts;
    const gatewayId = genesis.gateway.chainId;
    let height = (): bigint => 0n;
    const heads = new AgreedHeads({
      ...{ store, nowMs, open: endpointsThrough(link) },
      accessTo: (chainId) => configurations().accessAt(chainId, Number(height())),
    });
    const chain = await heads.chain(gatewayId);
    height = () => chain.height;
    const poll = headPollMs === undefined ? {} : { pollMs: headPollMs };
    const registry = new GatewayRegistry(chain, genesis.gateway);
    return new NetworkChains(heads, new GatewayHead({ chain, registry, log, onBlock, ...poll }), registry);
  }

  close(): void {
    this.gateway.close();
    this.heads.close();
  }
}
