import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { KmsError } from '../../shared/errors.ts';
import { ConfigurationChain } from '../../shared/network/chain.ts';
import {
  decodeConfigurations,
  MAX_CONFIGURATION_FILE_BYTES,
} from '../../shared/network/configuration-file.ts';
import { decodeGenesis, MAX_GENESIS_BYTES } from '../../shared/network/genesis.ts';
import {
  decodeSignedConfiguration,
  MAX_SIGNED_CONFIGURATION_BYTES,
  type SignedConfiguration,
} from '../../shared/network/signed-configuration.ts';
import { noble } from '../../shared/noble.ts';
import { acceptChain, type ClientAnchors, checkPin, checkSeen } from '../sdk/configuration-pin.ts';
import type { Arguments } from './arguments.ts';
import { readInput } from './file.ts';
import type { Terminal } from './terminal.ts';

/** Where a network's state directory has its genesis and its configurations. */
export const GENESIS_FILE = 'genesis.bin';
export const CONFIGURATIONS_FILE = 'configurations.bin';

export interface NetworkPaths {
  readonly genesis: string;
  readonly configurations: string;
}

export function stateDirectory(given: Arguments, terminal: Terminal): string {
  return resolve(given.text('state') ?? terminal.env.KMS_STATE ?? '.kms');
}

/** What `--genesis`, `--config` and `--state` name. */
export function networkPaths(given: Arguments, terminal: Terminal): NetworkPaths {
  const genesis = given.text('genesis') ?? join(stateDirectory(given, terminal), GENESIS_FILE);
  const configurations = given.text('config') ?? join(dirname(genesis), CONFIGURATIONS_FILE);
  return { genesis, configurations };
}

/** Unverified at this point. @throws {KmsError} UNAVAILABLE without a network */
export async function readNetworkFiles(paths: NetworkPaths): Promise<{
  readonly genesis: Uint8Array;
  readonly configurations: Uint8Array;
}> {
  const missing = (cause: unknown): never => {
    throw new KmsError('UNAVAILABLE', `there is no network in ${dirname(paths.genesis)}`, { cause });
  };
  return {
    genesis: await readInput(paths.genesis, 'the genesis', MAX_GENESIS_BYTES).catch(missing),
    configurations: await readInput(
      paths.configurations,
      'the configurations',
      MAX_CONFIGURATION_FILE_BYTES,
    ).catch(missing),
  };
}

/**
 * The verified chain of the named network, for whoever relies on it: as pinned, and not behind what was seen.
 * @throws {KmsError} UNAVAILABLE without one, BAD_GENESIS, BAD_CONFIGURATION, BAD_SIGNATURE, CONFLICT; BAD_INPUT without a pin
 */
export async function readChain(paths: NetworkPaths, anchors: ClientAnchors): Promise<ConfigurationChain> {
  const chain = await chainIn(paths);
  await acceptChain(chain, anchors);
  return chain;
}

async function chainIn(paths: NetworkPaths): Promise<ConfigurationChain> {
  const { genesis, configurations } = await readNetworkFiles(paths);
  return ConfigurationChain.of(noble, decodeGenesis(genesis), decodeConfigurations(configurations));
}

/**
 * For those who make the chain and need no pin to know it: a file behind what was seen is refused all the same, or they would
 * sign a rival. Without a file of configurations the chain has none yet: configuration 0 is still to be made.
 * @throws {KmsError} UNAVAILABLE without a genesis, BAD_GENESIS, ...
 */
export async function readGrowingChain(
  paths: NetworkPaths,
  { pin, memory }: ClientAnchors,
): Promise<ConfigurationChain> {
  const chain = existsSync(paths.configurations) ? await chainIn(paths) : await beginning(paths);
  checkPin(chain, pin);
  const seen = await memory?.highest(chain.networkId);
  if (seen !== undefined) checkSeen(chain, seen);
  return chain;
}

async function beginning(paths: NetworkPaths): Promise<ConfigurationChain> {
  const genesis = await readInput(paths.genesis, 'the genesis', MAX_GENESIS_BYTES).catch((cause: unknown) => {
    throw new KmsError('UNAVAILABLE', `there is no genesis at ${paths.genesis}`, { cause });
  });
  return ConfigurationChain.begin(noble, decodeGenesis(genesis));
}

/** A proposal or a complete configuration; its signatures are not verified at this point. @throws {KmsError} */
export async function readSignedConfiguration(path: string): Promise<SignedConfiguration> {
  return decodeSignedConfiguration(await readInput(path, 'a configuration', MAX_SIGNED_CONFIGURATION_BYTES));
}
