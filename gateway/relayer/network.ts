import type { TypedDomain } from '../../shared/gateway/eip712.ts';
import { bytesOf } from '../adapter/chain-data.ts';
import type { Heads } from '../adapter/heads.ts';
import type { ChainLog } from '../adapter/log.ts';
import type { GatewayContracts, HostContracts } from '../adapter/network-contracts.ts';
import type { Sender } from '../adapter/sender.ts';
import type { CommitteeChanges } from './committee-changes.ts';

/** One side of what a relayer connects, with the account that pays there. */
export interface GatewaySide extends GatewayContracts {
  readonly sender: Sender;
  /** Where its contracts begin. */
  readonly startBlock: bigint;
  readonly heads?: Heads;
}

export interface HostSide extends HostContracts {
  readonly sender: Sender;
  readonly heads?: Heads;
}

/** What a relayer's steps need. */
export interface RelayerNetwork {
  readonly gateway: GatewaySide;
  /** By chain id. */
  readonly hosts: ReadonlyMap<bigint, HostSide>;
  readonly committeeChanges: CommitteeChanges;
  readonly log: ChainLog;
  /** Of a gateway request. */
  readonly lifetimeS: number;
  /** Requests that cost more are left to others. */
  readonly maxFeePerHandleWei: bigint;
  /** Of this process, by request. */
  readonly callbackFailures: Map<string, number>;
}

export function domainOf({ gateway }: RelayerNetwork): TypedDomain {
  return { gatewayChainId: gateway.chain.chainId, registry: bytesOf(gateway.registry.address) };
}
