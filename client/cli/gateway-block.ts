import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Genesis, hasGateway } from '../../shared/network/genesis.ts';
import { GatewayBlock } from '../gateway/gateway-block.ts';
import { decodeGatewayFile, type GatewayPlaces, MAX_GATEWAY_FILE_BYTES } from '../gateway/gateway-file.ts';
import type { KnownBlock } from '../node-trust.ts';
import type { Arguments } from './arguments.ts';
import { readInput } from './file.ts';
import { stateDirectory } from './network-files.ts';
import type { Terminal } from './terminal.ts';

/** What `--gateway-file` names, or the one in the state directory. */
export function gatewayFile(given: Arguments, terminal: Terminal): string {
  return given.text('gateway-file') ?? join(stateDirectory(given, terminal), 'gateway.json');
}

/** @throws {KmsError} BAD_INPUT, TOO_LARGE if it cannot be read or is none */
export async function readPlaces(path: string): Promise<GatewayPlaces> {
  return decodeGatewayFile(await readInput(path, 'the gateway file', MAX_GATEWAY_FILE_BYTES));
}

/** The gateway chain's block, where a network has a gateway and it can be asked; else what configuration 0 allows is all that counts. */
export async function knownBlock(
  given: Arguments,
  terminal: Terminal,
  genesis: Genesis,
): Promise<KnownBlock | undefined> {
  const path = gatewayFile(given, terminal);
  if (!hasGateway(genesis) || (given.text('gateway-file') === undefined && !existsSync(path)))
    return undefined;
  const { gateway } = await readPlaces(path);
  try {
    return (await GatewayBlock.open(gateway, genesis.gateway.finality)).now;
  } catch {
    terminal.note('the gateway chain does not answer: only images of configuration 0 count');
    return undefined;
  }
}
