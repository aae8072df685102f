import { keccak_256 } from '@noble/hashes/sha3.js';
import { persistently } from '../../gateway/adapter/backoff.ts';
import { Chain } from '../../gateway/adapter/chain.ts';
import { bytesOf } from '../../gateway/adapter/chain-data.ts';
import type { ChainConfig } from '../../gateway/adapter/config-file.ts';
import { type Contract, read } from '../../gateway/adapter/contract.ts';
import { type Endpoint, httpEndpoint } from '../../gateway/adapter/endpoint.ts';
import type { Finality } from '../../gateway/adapter/follower.ts';
import { type Heads, headsOf } from '../../gateway/adapter/heads.ts';
import type { ChainLog } from '../../gateway/adapter/log.ts';
import {
  type GatewayContracts as AdapterContracts,
  gatewayContracts,
} from '../../gateway/adapter/network-contracts.ts';
import { KmsError } from '../../shared/errors.ts';
import type { GatewayContracts, HostChain } from '../../shared/gateway/network-commitments.ts';
import type { ConnectorConfig } from './config.ts';

/** A chain that facts are proven on. */
export interface FollowedChain {
  readonly chain: Chain;
  /** First block that may hold an event of the network's contracts. */
  readonly startBlock: bigint;
  /** When a block counts, as the enclave sees it: proofs are of the newest one that does. */
  readonly finality: Finality;
}

/** The chains of a network, as a connector knows them; nothing in it is believed by an enclave. */
export interface ConnectorNetwork {
  readonly gateway: AdapterContracts & FollowedChain & { readonly heads: Heads };
  /** What a claim says of the gateway's contracts. */
  readonly contracts: GatewayContracts;
  /** By chain id. */
  readonly hosts: ReadonlyMap<bigint, FollowedChain>;
}

export type EndpointOf = (of: ChainConfig) => Endpoint;

/**
 * Waits for chains that are down.
 * @throws {KmsError} BAD_INPUT for a URL of another chain or a registry that is none
 */
export async function connectNetwork(
  config: Pick<ConnectorConfig, 'gateway' | 'hosts'>,
  log: ChainLog,
  signal: AbortSignal,
  endpointOf: EndpointOf = ({ url }) => httpEndpoint({ url }),
): Promise<ConnectorNetwork> {
  const patiently = <T>(task: () => Promise<T>): Promise<T> =>
    persistently(task, signal, () => log('warn', 'chain-unavailable'));
  const open = async (of: ChainConfig): Promise<FollowedChain> => {
    const chain = new Chain(of.chainId, endpointOf(of));
    await patiently(() => chain.requireChain(signal));
    return { chain, startBlock: of.startBlock, finality: of.finality };
  };
  const gateway = await open(config.gateway);
  const known = await patiently(() => gatewayContracts(gateway.chain, config.gateway.registry));
  const contracts = await patiently(() => contractsOf(known, signal));
  const hosts = new Map<bigint, FollowedChain>();
  for (const host of config.hosts) hosts.set(host.chainId, await open(host));
  const heads = headsOf(config.gateway, log, signal);
  return { gateway: { ...known, ...gateway, heads }, contracts, hosts };
}

/** What the registry says of a host chain now: operators may change it. @throws {KmsError} BAD_INPUT if it does not know the chain */
export async function hostChainOf({ gateway }: ConnectorNetwork, chainId: bigint): Promise<HostChain> {
  const named = await read(gateway.registry, 'hostChain', [chainId]);
  return {
    chainId: named.chainId,
    verifier: bytesOf(named.verifier),
    oracle: bytesOf(named.oracle),
    accessControl: bytesOf(named.accessControl),
    compute: bytesOf(named.compute),
    verifierCodeHash: bytesOf(named.verifierCodeHash),
    oracleCodeHash: bytesOf(named.oracleCodeHash),
    accessControlCodeHash: bytesOf(named.accessControlCodeHash),
    computeCodeHash: bytesOf(named.computeCodeHash),
    confirmations: named.confirmations,
  };
}

/** @throws {KmsError} BAD_INPUT for a chain that this parent's configuration does not name */
export function followed({ hosts }: ConnectorNetwork, chainId: bigint): FollowedChain {
  const host = hosts.get(chainId);
  if (host === undefined) {
    throw new KmsError('BAD_INPUT', `the connector's configuration has no host chain ${chainId}`);
  }
  return host;
}

async function contractsOf(
  { chain, keys, ciphertexts, decryptions }: AdapterContracts,
  signal: AbortSignal,
): Promise<GatewayContracts> {
  const codeHash = async ({ address }: Pick<Contract<[]>, 'address'>): Promise<Uint8Array> =>
    keccak_256(bytesOf(await chain.code(address, signal)));
  return {
    keys: bytesOf(keys.address),
    ciphertexts: bytesOf(ciphertexts.address),
    decryptions: bytesOf(decryptions.address),
    keysCodeHash: await codeHash(keys),
    ciphertextsCodeHash: await codeHash(ciphertexts),
    decryptionsCodeHash: await codeHash(decryptions),
  };
}
