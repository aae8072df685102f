import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeNode, joinNode } from '../../../client/node-admin.ts';
import { readNetwork } from '../../../infra/local/founding.ts';
import { LocalNetwork } from '../../../infra/local/network.ts';
import { isAlive, type ProcessId, stopProcess } from '../../../infra/local/process.ts';
import { type NetworkState, readState, writeState } from '../../../infra/local/state.ts';
import { toHex } from '../../../shared/wire/bytes.ts';
import { foundedChain } from '../../simulator/network.ts';

let directory = '';
let network: LocalNetwork;

async function state(): Promise<NetworkState> {
  const found = await readState(directory);
  if (found === undefined) throw new Error('no state');
  return found;
}

async function processesOf(found: NetworkState): Promise<ProcessId[]> {
  const ids = found.nodes.flatMap(({ processes }) => [processes.enclave, processes.parent]);
  return ids.filter((id) => id !== undefined);
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kms-e2e-'));
  network = await LocalNetwork.up({ stateDirectory: directory, n: 4, t: 1 });
});

afterAll(async () => {
  await network?.down({ erase: true });
});

describe('local network', () => {
  it('local network: eight processes, all nodes joined and connected', async () => {
    const ids = await processesOf(await state());
    expect(new Set(ids.map(({ pid }) => pid)).size).toBe(8);
    const nodes = await network.status();
    expect(nodes.map(({ card }) => card?.connectedPeers)).toEqual([
      [2, 3, 4],
      [1, 3, 4],
      [1, 2, 4],
      [1, 2, 3],
    ]);
    const { members } = (await readNetwork(directory)).newest.signed.configuration;
    for (const [i, { card }] of nodes.entries()) {
      expect(card?.network?.networkId).toBe(network.networkId);
      expect(toHex(card!.identity)).toBe(toHex(members[i]!.identity));
    }
  });

  it('local network: parents serve what their enclaves measure', async () => {
    const metrics = async (party: number): Promise<string> =>
      (await fetch(`http://${network.statusAddress(party)}/metrics`)).text();
    for (const party of [1, 2, 3, 4]) {
      await expect
        .poll(() => metrics(party), { timeout: 20_000 })
        .toMatch(/^kms_enclave_peers_gained_total [1-9]/m);
    }
  });

  it('local network: a node that has joined does not show itself as one that has not', async () => {
    const [address] = network.addresses;
    const place = { identity: undefined, addresses: [address!] };
    await expect(describeNode(place)).rejects.toMatchObject({ code: 'BAD_PEER' });
    const chain = await readNetwork(directory);
    const other = foundedChain(chain.newest.signed.configuration.members);
    await expect(joinNode(place, other)).rejects.toMatchObject({ code: 'BAD_PEER' });
    expect(await joinNode(place, chain)).toMatchObject({ party: 1, configuration: 0 });
    expect((await describeNode(place, network.networkId)).network).toEqual({
      networkId: network.networkId,
      party: 1,
      configuration: { number: 0, digest: chain.newest.digest },
    });
  });

  it('local network: enclaves survive their parents, and nodes come back after they were killed', async () => {
    const before = (await state()).nodes[2]!.processes.enclave!;
    await network.stopNode(3, { role: 'parent', signal: 'SIGKILL' });
    expect(await isAlive(before)).toBe(true);
    await network.startNode(3, { role: 'parent' });
    await network.connected();
    expect((await state()).nodes[2]!.processes.enclave).toEqual(before);

    const identity = (await network.status())[3]!.card!.identity;
    await network.stopNode(4, { role: 'enclave', signal: 'SIGKILL' });
    expect((await network.status())[3]).toMatchObject({ enclave: false, parent: true, card: undefined });
    await network.connected([1, 2, 3]);
    await network.startNode(4, { role: 'enclave' });
    await network.connected();
    expect((await network.status())[3]!.card!.identity).toEqual(identity);
  });

  it('local network: a recorded pid that belongs to another process now is left alone', async () => {
    const bystander = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60_000)'], { detached: true });
    const recorded = await state();
    const other = await mkdtemp(join(tmpdir(), 'kms-e2e-'));
    const stale: ProcessId = { pid: bystander.pid!, started: 'earlier' };
    const nodes = recorded.nodes.map((node) => ({ ...node, processes: { enclave: stale, parent: stale } }));
    await writeState(other, { ...recorded, nodes, socketRoot: join(other, 'sockets') });
    await writeFile(join(other, 'not-ours'), 'keep');
    await (await LocalNetwork.open(other)).down({ erase: true });
    expect(await readdir(other)).toEqual(['not-ours']);
    await rm(other, { recursive: true });
    expect(bystander.exitCode).toBeNull();
    expect(() => process.kill(bystander.pid!, 0)).not.toThrow();
    process.kill(bystander.pid!, 'SIGKILL');
  });

  it('local network: logs hold structured lines and nothing of the store', async () => {
    const logs = join(directory, 'logs');
    for (const file of await readdir(logs)) {
      const lines = (await readFile(join(logs, file), 'utf8')).trimEnd().split('\n');
      for (const line of lines) expect(JSON.parse(line), line).toMatchObject({ event: expect.any(String) });
    }
  });

  it('local network: down leaves no process and no socket; up continues with the same network', async () => {
    const found = await state();
    const { networkId } = network;
    await network.down();
    for (const id of await processesOf(found)) expect(await isAlive(id)).toBe(false);
    expect(existsSync(found.socketRoot)).toBe(false);
    await expect(LocalNetwork.up({ stateDirectory: directory, n: 7, t: 2 })).rejects.toMatchObject({
      code: 'BAD_INPUT',
    });
    network = await LocalNetwork.up({ stateDirectory: directory });
    expect(network.networkId).toBe(networkId);
    expect((await network.status()).map(({ card }) => card?.connectedPeers.length)).toEqual([3, 3, 3, 3]);
  });

  it('local network: a start that is broken off, or whose enclave ends, leaves no process', async () => {
    const other = await mkdtemp(join(tmpdir(), 'kms-e2e-'));
    const stop = new AbortController();
    const up = LocalNetwork.up({
      stateDirectory: other,
      signal: stop.signal,
      onProgress: ({ phase, done }) => phase === 'starting' && done === 2 && stop.abort(),
    });
    await expect(up).rejects.toThrow();
    const started = await readState(other);
    expect((await processesOf(started!)).length).toBeGreaterThan(0);
    for (const id of await processesOf(started!)) expect(await isAlive(id)).toBe(false);
    await rm(other, { recursive: true });
    const broken = LocalNetwork.up({ stateDirectory: other, entry: join(other, 'missing.ts') });
    await expect(broken).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    for (const id of await processesOf((await readState(other))!)) expect(await isAlive(id)).toBe(false);
    await rm(other, { recursive: true });
  });

  it('local network: a process that does not heed SIGTERM is killed', async () => {
    const script = 'process.on("SIGTERM", () => {}); console.log("ready"); setInterval(() => {}, 1000)';
    const child = spawn(process.execPath, ['-e', script], {
      detached: true,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    const stat = await readFile(`/proc/${child.pid}/stat`, 'utf8').catch(() => undefined);
    if (stat === undefined) return;
    const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
    const started = `${boot}/${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`;
    const id: ProcessId = { pid: child.pid!, started };
    expect(await isAlive(id)).toBe(true);
    await stopProcess(id);
    expect(await isAlive(id)).toBe(false);
  });
});
