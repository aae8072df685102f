import { rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CONFIGURATIONS_FILE, GENESIS_FILE } from '../../client/cli/network-files.ts';
import { CHAINS_DIRECTORY } from './chains/chains-state.ts';
import { GOVERNANCE_DIRECTORY } from './founding.ts';
import { ACCOUNTS_DIRECTORY, GATEWAY_FILE, PROGRAMS_DIRECTORY } from './programs/program-files.ts';
import { STATE_FILE } from './state.ts';

export const CLOUD_DIRECTORY = 'cloud';
/** What a founding leaves that is broken off. */
const OF_FOUNDING = [GENESIS_FILE, CONFIGURATIONS_FILE];
/** What a network makes in its state directory; `client` is the command line's cache of public keys. */
const OWN_ENTRIES = [
  'nodes',
  'logs',
  'client',
  CLOUD_DIRECTORY,
  CHAINS_DIRECTORY,
  ACCOUNTS_DIRECTORY,
  PROGRAMS_DIRECTORY,
  GATEWAY_FILE,
  GOVERNANCE_DIRECTORY,
  ...OF_FOUNDING,
  STATE_FILE,
];

/** Everything of the network's, and the directory if nothing else lies there. */
export async function eraseDirectory(directory: string): Promise<void> {
  for (const entry of OWN_ENTRIES) await rm(join(directory, entry), { recursive: true, force: true });
  // Whatever else lies there is somebody's.
  await rmdir(directory).catch(() => {});
}

export async function eraseFounding(directory: string): Promise<void> {
  for (const entry of OF_FOUNDING) await rm(join(directory, entry), { recursive: true, force: true });
}
