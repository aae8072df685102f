import { join } from 'node:path';
import { KmsError } from '../../../shared/errors.ts';
import { headsUrlOf, placeOfChain } from '../chains/chain-processes.ts';
import type { ChainState, ChainsState } from '../chains/chains-state.ts';
import { coprocessors, type Program } from './program.ts';
import { accountFile, programDirectory } from './program-files.ts';

/** While no chain announces its blocks: nobody waits for them as for an answer, and three of them ask three chains all the time. */
const COPROCESSOR_POLL_MS = 200;

/** What a relayer reads. @param directory the network's state directory */
export function relayerConfig({ name }: Program, directory: string, chains: ChainsState): object {
  return {
    stateDirectory: join(programDirectory(directory, name), 'state'),
    accountKeyFile: accountFile(directory, name),
    ...chainsConfig(chains),
  };
}

/** What a coprocessor reads. @param connectors URLs of all parties' connectors, which serve keys */
export function coprocessorConfig(
  { name }: Program,
  port: number,
  directory: string,
  chains: ChainsState,
  connectors: readonly string[],
): object {
  return {
    stateDirectory: join(programDirectory(directory, name), 'state'),
    accountKeyFile: accountFile(directory, name),
    keys: connectors.map((url) => ({ url: `${url}/keys` })),
    uploads: `127.0.0.1:${port}`,
    envelopes: { directory: envelopesOf(directory, name) },
    ...chainsConfig(chains, COPROCESSOR_POLL_MS),
  };
}

/** The part of a parent's configuration that makes it start a connector. @param listen `host:port` */
export function connectorSection(
  party: number,
  listen: string,
  directory: string,
  chains: ChainsState,
): object {
  return {
    stateDirectory: join(directory, 'nodes', `${party}`, 'connector'),
    accountKeyFile: accountFile(directory, `connector-${party}`),
    listen,
    ...chainsConfig(chains),
    envelopes: coprocessors.map(({ name }) => ({ directory: envelopesOf(directory, name) })),
  };
}

/** @throws {KmsError} INTERNAL before the registry is deployed */
export function registryOf({ gateway }: ChainsState): string {
  const registry = gateway.contracts?.registry;
  if (registry === undefined) throw new KmsError('INTERNAL', 'the registry is not deployed yet');
  return registry;
}

/** Finality as the network's configuration has it: finalized blocks. */
function chainsConfig(chains: ChainsState, pollMs = chains.pollMs): object {
  const followed = (chain: ChainState): object => {
    return { ...placeOfChain(chain), headsUrl: headsUrlOf(chain), ...(pollMs && { pollMs }) };
  };
  return {
    gateway: { ...followed(chains.gateway), registry: registryOf(chains) },
    hosts: chains.hosts.map(followed),
  };
}

function envelopesOf(directory: string, name: string): string {
  return join(programDirectory(directory, name), 'envelopes');
}
