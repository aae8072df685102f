import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Code } from '@connectrpc/connect';
import { bytesToHex, getAddress, hexToBytes } from 'viem';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../../client/cli/cli.ts';
import { Interrupts } from '../../../client/cli/terminal.ts';
import { NodeChannel } from '../../../client/node-channel.ts';
import { unconditionally } from '../../../client/node-trust.ts';
import { localSecret } from '../../../infra/local/chains/account.ts';
import { userOf } from '../../../infra/local/chains/accounts.ts';
import { askChain } from '../../../infra/local/chains/ask-chain.ts';
import { type ChainState, type ChainsState, everyChain } from '../../../infra/local/chains/chains-state.ts';
import { type LocalGateway, openGateway } from '../../../infra/local/chains/gateway.ts';
import { type LocalHost, openHost } from '../../../infra/local/chains/host.ts';
import { readNetwork } from '../../../infra/local/founding.ts';
import { LocalNetwork } from '../../../infra/local/network.ts';
import type { ChainStatus } from '../../../infra/local/network-gateway.ts';
import { accepts, isAlive, type ProcessId, stopProcess } from '../../../infra/local/process.ts';
import type { ProgramStatus } from '../../../infra/local/programs/program-processes.ts';
import { type NetworkState, readState } from '../../../infra/local/state.ts';
import { assembleEvidence } from '../../../shared/gateway/proof/assemble.ts';
import { ProvenChain } from '../../../shared/gateway/proof/proven-chain.ts';
import { headerFromRpc, proofFromRpc } from '../../../shared/gateway/proof/rpc.ts';
import { word } from '../../../shared/gateway/word.ts';
import { toHex } from '../../../shared/wire/bytes.ts';
import { DirectService } from '../../direct/generated/kms/direct/v1/direct_pb.js';
import { commandKey, gatewayFile, keyFrom, openVote, vote } from './network-user.ts';

/** A network on a gateway, all of it processes of this machine: founded by a command line that is killed on the way, three times. */

const launcher = new URL('../../../client/bin/kms', import.meta.url).pathname;
const UP_MS = 240_000;
const YES = { kind: 'scalar', value: 1n } as const;
/** Registry.currentEpoch (gateway/README.md). */
const EPOCH_SLOT = 3n;

let directory = '';
let network: LocalNetwork;

async function state(): Promise<NetworkState> {
  const found = await readState(directory);
  if (found === undefined) throw new Error('no state');
  return found;
}

function processesOf({ nodes, chains, cloud }: NetworkState): readonly ProcessId[] {
  const ids = [
    ...nodes.flatMap(({ processes }) => [processes.enclave, processes.parent]),
    ...[cloud.kms.process, cloud.s3.process, chains?.fronts],
    ...chainsOf(chains).map(({ process }) => process),
    ...(chains?.programs ?? []).map(({ process }) => process),
  ];
  return ids.filter((id) => id !== undefined);
}

function chainsOf(chains: ChainsState | undefined): readonly ChainState[] {
  return chains === undefined ? [] : everyChain(chains);
}

/** Whatever runs on this machine for that network, written down or not. */
async function strays(of: string, { chains }: NetworkState): Promise<readonly string[]> {
  const ports = chainsOf(chains).map(({ port }) => `--port ${port} `);
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    const command = line.replaceAll('\0', ' ');
    if (command.includes(`${of}/`) || ports.some((port) => command.includes(port))) found.push(command);
  }
  return found;
}

/** `kms net up`, killed without a warning as soon as it is time. */
async function killedWhen(isTime: (said: string) => Promise<boolean>): Promise<void> {
  const child: ChildProcess = spawn(launcher, ['net', 'up', '--state', directory], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
  });
  const gone = once(child, 'exit');
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const limit = AbortSignal.timeout(UP_MS);
  while (!(await isTime(said))) {
    if (child.exitCode !== null || limit.aborted) throw new Error(`it was not to end: ${said}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  child.kill('SIGKILL');
  await gone;
}

async function opened(): Promise<LocalGateway> {
  const { chains } = await state();
  const { chainId, port, contracts } = chains!.gateway;
  return openGateway({ chainId, url: `http://127.0.0.1:${port}` }, getAddress(contracts?.registry ?? ''));
}

async function onRegistry(name: string, ...args: readonly unknown[]): Promise<unknown> {
  const { registry, operators } = await opened();
  return operators[0]!.read({ to: registry, name, args });
}

async function kms(...argv: string[]): Promise<{ readonly code: number; readonly stdout: string }> {
  let stdout = '';
  const code = await runCli(argv, {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: () => {} },
    env: { KMS_STATE: directory },
    nowMs: () => performance.now(),
    interrupts: new Interrupts(),
  });
  return { code, stdout };
}

async function openedHosts(gateway: LocalGateway): Promise<readonly LocalHost[]> {
  const { chains } = await state();
  return Promise.all(
    chains!.hosts.map(async ({ chainId, port }) => {
      return (await openHost({ chainId, url: `http://127.0.0.1:${port}` }, gateway))!;
    }),
  );
}

/** Of the programs around the chains, by name. */
async function isUp(name: string): Promise<boolean | undefined> {
  return (await network.programs()).find((program) => program.name === name)?.isUp;
}

interface StatusJson {
  readonly chains: readonly ChainStatus[];
  readonly programs: readonly ProgramStatus[];
}

async function statusJson(): Promise<StatusJson> {
  return JSON.parse((await kms('net', 'status', '--json')).stdout);
}

/** Names of what enclave 1 has logged in this life, in order: one that was killed may have had the last word on something. */
async function logged(): Promise<readonly string[]> {
  const text = await readFile(join(directory, 'logs', '1-enclave.log'), 'utf8');
  const all = [...text.matchAll(/"event":"([a-z-]+)"/g)].map((match) => match[1]!);
  return all.slice(all.lastIndexOf('started'));
}

/** The newest block in a chain's file. */
async function writtenDown(chainId: number): Promise<number> {
  const text = await readFile(join(directory, 'chains', `${chainId}.json`), 'utf8');
  return Number(JSON.parse(text).best_block_number);
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kms-gateway-'));
  await killedWhen(async (said) => said.includes('joining'));
  expect((await state()).isComplete).toBeUndefined();
  // On chain nothing is begun before all identities are safe.
  expect(BigInt(String(await onRegistry('networkId')))).toBe(0n);
  await killedWhen(async (said) => {
    return said.includes('enrolling') && BigInt(String(await onRegistry('networkId'))) !== 0n;
  });
  expect((await state()).isComplete).toBe(true);
  await killedWhen(async () => (await state()).chains?.programs !== undefined);
  network = await LocalNetwork.up({ stateDirectory: directory, gateway: true, startTimeoutMs: UP_MS });
}, 4 * UP_MS);

afterAll(async () => {
  await network?.down({ erase: true });
}, 60_000);

describe('local network on a gateway', { timeout: UP_MS }, () => {
  it('gateway network: epoch 0 is active, and its members are the nodes that run', async () => {
    expect(await onRegistry('currentEpoch')).toBe(0n);
    const chain = await readNetwork(directory);
    const { members, hosts } = chain.newest.signed.configuration;
    expect(await onRegistry('networkId')).toBe(`0x${chain.networkId}`);
    expect(await onRegistry('configurations', 0n)).toBe(`0x${chain.newest.digest}`);
    const nodes = await network.status();
    for (const [i, { identity }] of members.entries()) {
      expect(await onRegistry('identityOf', 0n, i + 1)).toBe(bytesToHex(identity));
      expect(toHex(nodes[i]!.card!.identity)).toBe(toHex(identity));
    }
    const { registry, registryCodeHash } = await opened();
    const { chainId, ...anchor } = chain.genesis.gateway;
    expect(chainId).toBe(31337n);
    expect(bytesToHex(anchor.registry)).toBe(registry.address.toLowerCase());
    expect(`0x${anchor.registryCodeHash}`).toBe(registryCodeHash);
    expect(hosts.map((host) => host.chainId)).toEqual([31338n, 31339n]);
    for (const { rpc } of [chain.genesis, ...hosts]) {
      expect(rpc).toMatchObject({ k: 2, endpoints: { length: 3 } });
    }
  });

  it('gateway network: host chains know the signers of epoch 0, and the gateway knows them', async () => {
    const gateway = await opened();
    for (const host of await openedHosts(gateway)) {
      expect(await host.deployer.read({ to: host.verifier, name: 'currentEpoch' })).toBe(0n);
      for (const party of [1, 2, 3, 4]) {
        const signer = await onRegistry('signerOf', 0n, party);
        const known = await host.deployer.read({
          ...{ to: host.verifier, name: 'partyOfSigner', args: [0n, signer] },
        });
        expect(Number(known)).toBe(party);
      }
    }
  });

  it('gateway network: a node does nothing for whoever asks it directly', async () => {
    const channel = new NodeChannel(
      { identity: undefined, addresses: [network.addresses[0]!] },
      unconditionally(network.networkId!),
    );
    const client = await channel.clientOf(DirectService);
    await expect(client.decrypt({})).rejects.toMatchObject({ code: Code.Unimplemented });
    channel.close();
  });

  it('gateway network: status shows chains that go on, and their contracts', async () => {
    const before = await statusJson();
    expect(before.chains.map(({ chainId, role }) => [chainId, role])).toEqual([
      [31337, 'gateway'],
      [31338, 'host'],
      [31339, 'host'],
    ]);
    for (const [i, { url, block, contracts }] of before.chains.entries()) {
      for (const address of Object.values(contracts)) {
        expect(await askChain(url, 'eth_getCode', [address, 'latest'])).toMatch(/^0x[0-9a-f]{100}/);
      }
      const now = async (): Promise<number> => (await statusJson()).chains[i]!.block!;
      await expect.poll(now, { timeout: 20_000 }).toBeGreaterThan(block!);
    }
    const [gateway, host] = before.chains;
    expect(Object.keys(gateway!.contracts)).toEqual(['registry', 'keys', 'ciphertexts', 'decryptions']);
    expect(Object.keys(host!.contracts)).toContain('oracle');
    expect((await kms('net', 'status')).stdout).toContain(gateway!.contracts.registry);
  });

  it('gateway network: files say where everything is, and whose accounts are whose', async () => {
    const { chains } = await state();
    const place = ({ chainId, port }: ChainState) => ({ chainId, url: `http://127.0.0.1:${port}` });
    const { coprocessors, connectors, ...file } = await gatewayFile(directory);
    const { registry } = chains!.gateway.contracts!;
    expect(file).toEqual({
      ...{ format: 1, gateway: { ...place(chains!.gateway), registry } },
      hosts: chains!.hosts.map(place),
    });
    expect([coprocessors.length, connectors.length]).toEqual([3, 4]);
    for (const url of coprocessors) expect((await fetch(`${url}/v1/envelopes/x`)).status).toBe(404);
    for (const url of connectors) {
      expect((await fetch(`${url}/keys/${'00'.repeat(32)}`)).status).toBe(404);
    }
    const accounts: Record<string, number> = { submitter: 7, user: 12, 'user-2': 13 };
    for (const number of [1, 2, 3, 4]) accounts[`operator-${number}`] = number - 1;
    for (const [name, index] of Object.entries(accounts)) {
      const path = join(directory, 'accounts', `${name}.key`);
      expect(await readFile(path, 'utf8')).toBe(`${localSecret(index).slice(2)}\n`);
      expect((await stat(path)).mode & 0o777).toBe(0o600);
    }
    const { programs } = await statusJson();
    expect(programs.map(({ name, isUp: up, url }) => [name, up, url])).toEqual([
      ...connectors.map((url, i) => [`connector-${i + 1}`, true, url]),
      ...coprocessors.map((url, i) => [`coprocessor-${i + 1}`, true, url]),
      ['relayer', true, undefined],
    ]);
    expect((await kms('net', 'status')).stdout).toMatch(/coprocessor-3 +up +http:/);
  });

  it('gateway network: a vote from no key to its result, by programs alone; the relayer is killed midway', async () => {
    const gateway = await opened();
    const hosts = await openedHosts(gateway);
    const [host] = hosts;
    const { coprocessors, connectors } = await gatewayFile(directory);
    const id = await commandKey(gateway, hosts);
    const key = await keyFrom(connectors[2]!, id, directory);
    const ballots = [await key.encrypt(YES), await key.encrypt(YES)];
    const tally = await openVote(host!, id, 40n);
    for (const [i, ballot] of ballots.entries()) {
      await vote(host!, tally, key, ballot, userOf(i + 1), coprocessors);
    }
    const { deployer, oracle } = host!;
    const endsAt = BigInt(String(await deployer.read({ to: tally, name: 'endsAt' })));
    const now = async (): Promise<bigint> => (await deployer.client.getBlock()).timestamp;
    await expect.poll(now, { timeout: 60_000, interval: 500 }).toBeGreaterThanOrEqual(endsAt);
    await deployer.send({ to: tally, name: 'close' });
    const asked = async (): Promise<number> => {
      const { decryptions, operators } = gateway;
      const named = { ...decryptions, eventName: 'PublicDecryptionRequested', fromBlock: 0n };
      return (await operators[0]!.client.getContractEvents(named)).length;
    };
    await expect.poll(asked, { timeout: 60_000, interval: 20 }).toBe(1);
    await network.stopProgram('relayer', 'SIGKILL');
    expect(await isUp('relayer')).toBe(false);
    await network.startProgram('relayer-2');
    expect(await isUp('relayer-2')).toBe(true);
    const isCounted = (): Promise<unknown> => deployer.read({ to: tally, name: 'isCounted' });
    await expect.poll(isCounted, { timeout: 60_000, interval: 200 }).toBe(true);
    expect(await deployer.read({ to: tally, name: 'yes' })).toBe(2n);
    expect(await deployer.read({ to: oracle, name: 'executed', args: [1n] })).toBe(true);
    expect(await asked()).toBe(1);
  });

  it('gateway network: single programs are stopped and started, and up starts those that have died', async () => {
    await network.stopProgram('connector-2');
    expect(await isUp('connector-2')).toBe(false);
    expect((await network.status())[1]).toMatchObject({ parent: true, card: { phase: 'ready' } });
    await network.startProgram('connector-2');
    expect(await isUp('connector-2')).toBe(true);
    await network.stopProgram('connector-3', 'SIGKILL');
    await network.stopProgram('coprocessor-1', 'SIGKILL');
    const before = await network.programs();
    const dead = before.filter((program) => !program.isUp).map(({ name }) => name);
    expect(dead).toEqual(['connector-3', 'coprocessor-1', 'relayer']);
    network = await LocalNetwork.up({ stateDirectory: directory, startTimeoutMs: UP_MS });
    const after = await network.programs();
    expect(after.every((program) => program.isUp)).toBe(true);
    const places = (all: readonly ProgramStatus[]) => new Map(all.map(({ name, url }) => [name, url]));
    expect(places(after)).toEqual(places(before));
    for (const name of ['relayer-9', 'coprocessor-4', '../relayer']) {
      await expect(network.startProgram(name)).rejects.toMatchObject({ code: 'BAD_INPUT' });
      await expect(network.stopProgram(name)).rejects.toMatchObject({ code: 'BAD_INPUT' });
    }
    await network.stopNode(4, { role: 'parent' });
    await expect(network.startProgram('connector-4')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await network.startNode(4, { role: 'parent' });
    await network.startProgram('connector-4');
    await expect(network.stopProgram('connector-5')).rejects.toMatchObject({ code: 'BAD_INPUT' });
  });

  it('gateway network: enclaves follow the chain through the fronts, and again when fronts come back', async () => {
    // Until now every question found its way: through the parent's list to two fronts with the keys of genesis.
    const { fronts } = (await state()).chains!;
    const heads = async (): Promise<readonly string[]> =>
      (await logged()).filter((event) => event.startsWith('gateway-head'));
    await expect.poll(async () => (await heads()).at(-1)).not.toBe('gateway-head-unknown');
    const before = (await logged()).length;
    await stopProcess(fronts!, 'SIGKILL');
    const since = async (): Promise<readonly string[]> => (await logged()).slice(before);
    await expect.poll(since, { timeout: 60_000 }).toContain('gateway-head-unknown');
    network = await LocalNetwork.up({ stateDirectory: directory, startTimeoutMs: UP_MS });
    await expect.poll(since, { timeout: 60_000 }).toContain('gateway-head-known');
  });

  it('gateway network: a chain whose process is killed goes on from what was written down', async () => {
    const { gateway, programs } = (await state()).chains!;
    const written = (): Promise<number> => writtenDown(31337);
    const { block } = (await network.chains())[0]!;
    await expect.poll(written, { timeout: 60_000 }).toBeGreaterThan(block!);
    await stopProcess(gateway.process!, 'SIGKILL');
    network = await LocalNetwork.up({ stateDirectory: directory, startTimeoutMs: UP_MS });
    expect(await onRegistry('currentEpoch')).toBe(0n);
    expect((await network.chains())[0]!.block).toBeGreaterThan(block!);
    // None of them has ended over it.
    expect((await state()).chains!.programs).toEqual(programs);
  });

  it('gateway network: a configuration counts once operators have published it', async () => {
    const home = await mkdtemp(join(tmpdir(), 'kms-configuration-'));
    try {
      const next = join(home, 'next.bin');
      const good = async (...argv: string[]): Promise<unknown> => {
        const { code, stdout } = await kms(...argv, '--json');
        expect(code).toBe(0);
        return JSON.parse(stdout);
      };
      const { block } = (await network.chains())[0]!;
      await good('net', 'config', 'propose', '--activate', `${block! + 5}`, '--overlap', '5', '-o', next);
      for (const party of [1, 2, 3]) {
        await good('net', 'config', 'sign', next, '--key', network.governanceKeyFile(party));
      }
      await good('net', 'config', 'apply', next);
      const [address] = network.addresses;
      expect((await kms('node', 'join', address!)).code).not.toBe(0);
      expect(await good('net', 'config', 'publish')).toMatchObject({ published: [{ number: 1 }] });
      expect(await onRegistry('configurationCount')).toBe(2n);
      for (const one of network.addresses) await good('node', 'join', one);
      const cards = (await network.status()).map(({ card }) => card?.network?.configuration.number);
      expect(cards).toEqual([1, 1, 1, 1]);
      expect(await good('net', 'config', 'publish')).toEqual({ published: [] });
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  });

  it('gateway network: down leaves no process; up finds chains, contracts and nodes as they were', async () => {
    const found = await state();
    const before = await network.chains();
    const { networkId } = network;
    // Nodes, cloud, chains and fronts, coprocessors and two relayers; connectors end with their parents.
    expect(processesOf(found)).toHaveLength(8 + 2 + 4 + 5);
    await network.down();
    for (const id of processesOf(found)) expect(await isAlive(id)).toBe(false);
    expect(await strays(directory, found)).toEqual([]);
    // Nothing that a node believed is lost.
    for (const { chainId, block } of before)
      expect(await writtenDown(chainId)).toBeGreaterThanOrEqual(block!);
    for (const { port, frontPorts } of everyChain(found.chains!)) {
      for (const one of [port, ...frontPorts]) expect(await accepts(one)).toBe(false);
    }
    network = await LocalNetwork.up({ stateDirectory: directory, startTimeoutMs: UP_MS });
    expect(network.networkId).toBe(networkId);
    const after = await network.chains();
    for (const [i, chain] of after.entries()) {
      expect(chain.contracts).toEqual(before[i]!.contracts);
      expect(chain.block).toBeGreaterThan(before[i]!.block!);
    }
    expect((await network.status()).map(({ card }) => card?.phase)).toEqual(Array(4).fill('ready'));
    await expectProven();
  });

  it('gateway network: erased, nothing is left', async () => {
    const found = await state();
    await network.down({ erase: true });
    expect(await strays(directory, found)).toEqual([]);
    expect(existsSync(directory)).toBe(false);
  });
});

/** What enclaves will ask for can be proven at the newest block of a chain that was started again. */
async function expectProven(): Promise<void> {
  const { chain, registry, registryCodeHash } = await opened();
  const block = Object(await askChain(chain.url, 'eth_getBlockByNumber', ['latest', false]));
  const slot = bytesToHex(word(EPOCH_SLOT));
  const proof = Object(await askChain(chain.url, 'eth_getProof', [registry.address, [slot], block.number]));
  const evidence = assembleEvidence(31337n, headerFromRpc(block), [proofFromRpc(proof)]);
  const proven = ProvenChain.open(evidence, { chainId: 31337n, hash: hexToBytes(block.hash) });
  const address = hexToBytes(registry.address);
  const codeHash = hexToBytes(registryCodeHash);
  expect(proven.word(address, codeHash, word(EPOCH_SLOT)) & (2n ** 64n - 1n)).toBe(0n);
}

describe('local network on a gateway, broken off', { timeout: UP_MS }, () => {
  it.each([true, false])(
    'gateway network: broken off by Ctrl-C it leaves no process; gateway: %s',
    async (gateway) => {
      const other = await mkdtemp(join(tmpdir(), 'kms-gateway-'));
      const stop = new AbortController();
      const up = LocalNetwork.up({
        ...{ stateDirectory: other, gateway, signal: stop.signal },
        onProgress: ({ phase, done }) => phase === 'starting' && done === 1 && stop.abort(),
      });
      await expect(up).rejects.toThrow();
      const broken = (await readState(other))!;
      expect(processesOf(broken)).toHaveLength(gateway ? 2 + 2 + 4 : 2 + 2);
      for (const id of processesOf(broken)) expect(await isAlive(id)).toBe(false);
      expect(await strays(other, broken)).toEqual([]);
      // One without a gateway gets none later: it would be another network.
      if (!gateway) {
        const again = LocalNetwork.up({ stateDirectory: other, gateway: true });
        await expect(again).rejects.toMatchObject({ code: 'BAD_INPUT' });
      }
      await rm(other, { recursive: true });
    },
  );
});
