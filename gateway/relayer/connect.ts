import type { ChainAccount } from '../adapter/account.ts';
import { CHAIN_BACKOFF, persistently } from '../adapter/backoff.ts';
import { Chain } from '../adapter/chain.ts';
import type { ChainConfig } from '../adapter/config-file.ts';
import { httpEndpoint } from '../adapter/endpoint.ts';
import { type Heads, headsOf } from '../adapter/heads.ts';
import type { ChainLog } from '../adapter/log.ts';
import { gatewayContracts, hostContracts } from '../adapter/network-contracts.ts';
import { Sender } from '../adapter/sender.ts';
import { committeeChangeFiles } from './committee-changes.ts';
import type { RelayerConfig } from './config.ts';
import type { HostSide, RelayerNetwork } from './network.ts';

/**
 * The chains of a configuration, with their contracts as the registry names them. Waits for chains that are down.
 * @throws {KmsError} BAD_INPUT for a chain that the registry does not know, or a URL of another chain
 */
export async function connect(
  config: RelayerConfig,
  account: ChainAccount,
  log: ChainLog,
  signal: AbortSignal,
): Promise<RelayerNetwork> {
  const waiting = (): void => log('warn', 'chain-unavailable');
  const patiently = <T>(task: () => Promise<T>): Promise<T> =>
    persistently(task, signal, waiting, CHAIN_BACKOFF);
  const open = async ({ url, chainId }: ChainConfig): Promise<Chain> => {
    const chain = new Chain(chainId, httpEndpoint({ url }));
    await patiently(() => chain.requireChain(signal));
    return chain;
  };
  const senderOf = ({ pollMs }: ChainConfig, chain: Chain, heads: Heads): Sender =>
    new Sender({ chain, heads, account, log, signal, pollMs });
  const chain = await open(config.gateway);
  const contracts = await patiently(() => gatewayContracts(chain, config.gateway.registry));
  const hosts = new Map<bigint, HostSide>();
  for (const host of config.hosts) {
    const hostChain = await open(host);
    const known = await patiently(() => hostContracts(contracts, hostChain));
    const heads = headsOf(host, log, signal);
    hosts.set(host.chainId, { ...known, heads, sender: senderOf(host, hostChain, heads) });
  }
  const heads = headsOf(config.gateway, log, signal);
  const { startBlock } = config.gateway;
  return {
    gateway: { ...contracts, heads, sender: senderOf(config.gateway, chain, heads), startBlock },
    hosts,
    committeeChanges: committeeChangeFiles(config.committeeChangesDirectory),
    log,
    lifetimeS: config.lifetimeS,
    maxFeePerHandleWei: config.maxFeePerHandleWei,
    callbackFailures: new Map(),
  };
}
