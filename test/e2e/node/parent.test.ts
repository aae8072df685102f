import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freePort, type TestNode, TestNodes, until } from '../../unit/net/nodes.ts';

/** The parent as an operator runs it: processes, signals, exit codes. The enclave's networking is in this process. */
const ENTRY = fileURLToPath(new URL('../../../parent/main.ts', import.meta.url));

let directory = '';
let config = '';
let statusPort = 0;
let nodes: TestNodes;
let node: TestNode;
const running: ChildProcess[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kms-parent-'));
  config = join(directory, 'parent.json');
  statusPort = await freePort();
  nodes = await TestNodes.create(1, {
    api: {
      describe: async () => ({
        ...{ identity: new Uint8Array(32), bootKey: new Uint8Array(32), reason: undefined },
        ...{ network: undefined, connectedPeers: [], keyIds: [] },
        phase: 'unjoined' as const,
      }),
    },
  });
  node = nodes.nodes[0]!;
  await node.relay.close();
  await writeFile(
    config,
    JSON.stringify({
      listen: node.address,
      socketDirectory: node.directory,
      configurationsFile: join(directory, 'none'),
      status: `127.0.0.1:${statusPort}`,
    }),
  );
});

afterEach(async () => {
  for (const child of running.splice(0)) child.kill('SIGKILL');
  await nodes.close();
  await rm(directory, { recursive: true, force: true });
});

function run(...more: string[]): ChildProcess {
  const child = spawn(process.execPath, [ENTRY, '--config', config, ...more], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.push(child);
  return child;
}

async function started(child: ChildProcess): Promise<void> {
  for (let text = ''; !text.includes('"started"'); ) text += String((await once(child.stdout!, 'data'))[0]);
}

interface Outcome {
  readonly exitCode: number | null;
  readonly text: string;
}

async function outcome(child: ChildProcess): Promise<Outcome> {
  let text = '';
  for (const out of [child.stdout, child.stderr]) out?.on('data', (part: Buffer) => (text += String(part)));
  await once(child, 'close');
  return { exitCode: child.exitCode, text: text.trim() };
}

const health = (): Promise<Outcome> => outcome(run('--health'));

describe('parent process', () => {
  it('parent process: --health tells the truth by its exit code, whoever of the two is away', async () => {
    expect(await health()).toMatchObject({ exitCode: 1, text: expect.stringMatching(/does not accept/) });
    const parent = run();
    await started(parent);
    expect(await health()).toEqual({ exitCode: 0, text: 'ok: unjoined, 0 peers' });
    await node.network.close();
    expect(await health()).toMatchObject({ exitCode: 1, text: expect.stringMatching(/no enclave answers/) });
    const ended = outcome(parent);
    parent.kill('SIGTERM');
    expect((await ended).exitCode).toBe(0);
  });

  it('parent process: the next one takes over while the first lets go; the enclave notices nothing', async () => {
    const first = run();
    await started(first);
    const next = run();
    const takenOver = started(next);
    const ended = outcome(first);
    first.kill('SIGTERM');
    await takenOver;
    expect((await ended).exitCode).toBe(0);
    expect(await health()).toMatchObject({ exitCode: 0 });
    const answer = await fetch(`http://127.0.0.1:${statusPort}/metrics`);
    expect(await answer.text()).toMatch(/kms_parent_accepted_total [1-9]/);
    // Killed without a word, it leaves its sockets behind, and the one after it takes them all the same.
    const killed = once(next, 'close');
    next.kill('SIGKILL');
    await killed;
    expect(await health()).toMatchObject({ exitCode: 1 });
    await started(run());
    expect(await health()).toMatchObject({ exitCode: 0 });
  });

  it('parent process: a bad configuration is one clear line and exit code 1', async () => {
    await writeFile(config, JSON.stringify({ listen: '127.0.0.1:1', configurationsFile: 'x' }));
    expect(await outcome(run())).toMatchObject({
      exitCode: 1,
      text: expect.stringMatching(/needs one of "socketDirectory", "enclaveCid" .* or "vhostSocket"/),
    });
  });

  it('parent process: its connector is a process that ends and comes back; the relay does not notice', async () => {
    const port = await freePort();
    const accountKeyFile = join(directory, 'account');
    await writeFile(accountKeyFile, '01'.repeat(32));
    const nowhere = `http://127.0.0.1:${await freePort()}`;
    const connector = {
      ...{ stateDirectory: join(directory, 'connector'), accountKeyFile, listen: `127.0.0.1:${port}` },
      gateway: { url: nowhere, chainId: 1, registry: `0x${'11'.repeat(20)}` },
      hosts: [],
      envelopes: [{ directory }],
    };
    const without: object = JSON.parse(await readFile(config, 'utf8'));
    await writeFile(config, JSON.stringify({ ...without, connector }));
    const parent = run();
    let text = '';
    parent.stdout?.on('data', (part: Buffer) => (text += String(part)));
    const pids = (): readonly number[] =>
      [...text.matchAll(/"process":"connector","level":"info","event":"started","pid":(\d+)/g)].map(
        ([, pid]) => Number(pid),
      );
    await until(() => pids().length === 1);
    process.kill(pids()[0]!, 'SIGKILL');
    await until(() => text.includes('"connector-ended"'));
    expect(await health()).toMatchObject({ exitCode: 0 });
    await until(() => pids().length === 2);
    expect(isAlive(pids()[1]!)).toBe(true);
    // Without a word to its child, too.
    const killed = once(parent, 'close');
    parent.kill('SIGKILL');
    await killed;
    await until(() => !isAlive(pids()[1]!));
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
