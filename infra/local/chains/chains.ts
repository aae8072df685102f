import { type LocalChain, startAnvil } from './anvil.ts';
import { GATEWAY_CHAIN_ID, HOST_CHAIN_IDS } from './chain-ids.ts';
import { deployGateway, type LocalGateway } from './gateway.ts';

/** One gateway chain with its contracts and two host chains, which get theirs by deployHost() once signers are known. */
export interface LocalChains extends AsyncDisposable {
  readonly gateway: LocalGateway;
  readonly hosts: readonly LocalChain[];
}

/** Starts and deploys; on any failure nothing is left running. */
export async function startChains(): Promise<LocalChains> {
  const started: LocalChain[] = [];
  const stopAll = async (): Promise<void> => {
    await Promise.all(started.map((chain) => chain.stop()));
  };
  try {
    for (const chainId of [GATEWAY_CHAIN_ID, ...HOST_CHAIN_IDS]) started.push(await startAnvil({ chainId }));
    const [first, ...hosts] = started;
    const gateway = await deployGateway(first!);
    return { gateway, hosts, [Symbol.asyncDispose]: stopAll };
  } catch (error) {
    await stopAll();
    throw error;
  }
}
