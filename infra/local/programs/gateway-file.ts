import { join } from 'node:path';
import { writeDurably } from '../../../gateway/adapter/durable-file.ts';
import { placeOfChain } from '../chains/chain-processes.ts';
import type { ChainsState } from '../chains/chains-state.ts';
import { coprocessors } from './program.ts';
import { registryOf } from './program-config.ts';
import { GATEWAY_FILE } from './program-files.ts';
import { urlOf } from './program-processes.ts';

/**
 * Says where clients find a network's gateway and what is around it; public.
 * @param connectors URLs by party
 */
export async function writeGatewayFile(
  directory: string,
  chains: ChainsState,
  connectors: readonly string[],
): Promise<void> {
  const ports = new Map((chains.programs ?? []).map(({ name, port }) => [name, port]));
  const file = {
    format: 1,
    gateway: { ...placeOfChain(chains.gateway), registry: registryOf(chains) },
    hosts: chains.hosts.map(placeOfChain),
    coprocessors: coprocessors.flatMap(({ name }) => {
      const port = ports.get(name);
      return port === undefined ? [] : [urlOf(port)];
    }),
    connectors,
  };
  await writeDurably(join(directory, GATEWAY_FILE), `${JSON.stringify(file, undefined, 2)}\n`);
}
