import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  bytesToHex,
  decodeAbiParameters,
  encodeAbiParameters,
  type Hex,
  hexToBytes,
  parseAbiParameters,
} from 'viem';
import { expect } from 'vitest';
import { NetworkKey } from '../../../client/sdk/network-key.ts';
import { nodePrimitives } from '../../../enclave/primitives.ts';
import { type Deployed, LocalAccount, localSecret } from '../../../infra/local/chains/account.ts';
import { SUBMITTER } from '../../../infra/local/chains/accounts.ts';
import { command, compiled, type LocalGateway } from '../../../infra/local/chains/gateway.ts';
import type { LocalHost } from '../../../infra/local/chains/host.ts';
import { readNetwork } from '../../../infra/local/founding.ts';
import { presetByName } from '../../../shared/fhe/presets.ts';
import { keyStates, presetCode } from '../../../shared/gateway/key-state.ts';
import { signDigest } from '../../../shared/gateway/signature.ts';
import { keyId } from '../../../shared/ids.ts';
import { Kernel } from '../../../shared/math/kernel/kernel.ts';
import { committeeOf } from '../../../shared/network/configuration.ts';
import { lastEvent } from '../gateway/founded.ts';

/** What people do on a network whose programs do the rest: operators command, voters vote. */

const PATIENCE = { timeout: 120_000, interval: 200 };

/** What clients read. */
export interface GatewayFile {
  readonly format: number;
  readonly gateway: { readonly chainId: number; readonly url: string; readonly registry: Hex };
  readonly hosts: readonly { readonly chainId: number; readonly url: string }[];
  readonly coprocessors: readonly string[];
  readonly connectors: readonly string[];
}

export async function gatewayFile(directory: string): Promise<GatewayFile> {
  return JSON.parse(await readFile(join(directory, 'gateway.json'), 'utf8'));
}

/** A key that operators command, active on the gateway and on both host chains. */
export async function commandKey(gateway: LocalGateway, hosts: readonly LocalHost[]): Promise<Hex> {
  const made = await activated(gateway, 1, 'uint8, uint8', [presetCode(presetByName('test-4096')), 0]);
  const [, id] = decodeAbiParameters(parseAbiParameters('uint256, bytes32'), made);
  await activated(gateway, 5, 'bytes32, uint8', [id, keyStates.active]);
  for (const { deployer, keyring } of hosts) {
    const known = (): Promise<unknown> => deployer.read({ to: keyring, name: 'keys', args: [id] });
    await expect.poll(known, PATIENCE).toMatchObject({ state: keyStates.active });
  }
  return id;
}

/** @returns the statement that n - t nodes signed */
async function activated(
  gateway: LocalGateway,
  kind: number,
  types: string,
  values: readonly unknown[],
): Promise<Hex> {
  const { keys, operators } = gateway;
  const { id } = await command(gateway, kind, encodeAbiParameters(parseAbiParameters(types), values));
  const phase = (): Promise<unknown> => operators[0]!.read({ to: keys, name: 'phases', args: [id] });
  await expect.poll(phase, PATIENCE).toBe(2);
  const { statement } = await lastEvent(operators[0]!, keys, 'CommandActivated');
  return statement as Hex;
}

/** As a connector serves it, with its certificate verified. */
export async function keyFrom(connector: string, id: Hex, directory: string): Promise<NetworkKey> {
  const response = await fetch(`${connector}/keys/${id.slice(2)}`);
  expect(response.status).toBe(200);
  const record = new Uint8Array(await response.arrayBuffer());
  const { networkId, epochStart } = await readNetwork(directory);
  const { configuration } = epochStart.signed;
  const among = {
    ...{ networkId, configuration: epochStart.digest, epoch: configuration.epoch },
    ...{ primitives: nodePrimitives, committee: committeeOf(configuration) },
    identities: new Map(configuration.members.map(({ party, identity }) => [party, identity])),
  };
  return NetworkKey.open(await Kernel.load(), among, keyId(id.slice(2)), record);
}

/** A vote that is open for so long. */
export async function openVote(host: LocalHost, key: Hex, seconds: bigint): Promise<Deployed> {
  const { deployer, compute, oracle } = host;
  const { timestamp } = await deployer.client.getBlock();
  const args = [compute.address, oracle.address, key, timestamp + seconds];
  return deployer.deploy(compiled('ConfidentialTally'), args);
}

/** Brings a ballot to the coprocessors and casts it. @param voter one of the well-known accounts */
export async function vote(
  { chain, submitters }: LocalHost,
  tally: Deployed,
  key: NetworkKey,
  ballot: Uint8Array,
  voter: number,
  coprocessors: readonly string[],
): Promise<void> {
  const digest = bytesToHex(nodePrimitives.sha256(ballot));
  for (const url of coprocessors) {
    const place = `${url}/v1/envelopes/${digest.slice(2)}`;
    expect((await fetch(place, { method: 'PUT', body: ballot.slice() })).status).toBe(204);
  }
  const account = new LocalAccount(chain, voter);
  const args = [tally.address, account.address, digest, `0x${key.id}`, 1];
  const toSign = (await account.read({ to: submitters, name: 'inputDigest', args })) as Hex;
  const proof = bytesToHex(signDigest(hexToBytes(toSign), hexToBytes(localSecret(SUBMITTER))));
  await account.send({ to: tally, name: 'vote', args: [digest, proof] });
}
