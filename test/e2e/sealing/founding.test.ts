import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LocalNetwork } from '../../../infra/local/network.ts';
import { type ProcessId, stopProcess } from '../../../infra/local/process.ts';
import { readState } from '../../../infra/local/state.ts';
import { DIRECT_ENTRY } from '../../direct/entry.ts';
import { clientOf, PATIENCE_MS } from './sealed-network.ts';

const FOUNDER = fileURLToPath(new URL('found-alone.ts', import.meta.url));
const PROCESSES = 10;

let home = '';
let directory = '';

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'kms-founding-'));
  directory = join(home, 'state');
});

afterAll(async () => {
  const found = existsSync(directory) ? await LocalNetwork.open(directory).catch(() => undefined) : undefined;
  await found?.down({ erase: true });
  await rm(home, { recursive: true, force: true });
}, PATIENCE_MS);

/** Founds a network in a process of its own, and kills it and everything it started when that is so. */
async function foundUntil(isIt: () => boolean): Promise<string | undefined> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', FOUNDER, directory], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
  });
  let said = '';
  child.stderr.on('data', (text) => {
    said += text;
  });
  const deadlineMs = performance.now() + PATIENCE_MS;
  while (!isIt()) {
    if (performance.now() > deadlineMs || child.exitCode !== null) {
      throw new Error(`it never came so far, exit code ${child.exitCode}: ${said.slice(-500)}`);
    }
    await sleep(5);
  }
  child.kill('SIGKILL');
  const state = await readState(directory);
  const ids = (state?.nodes ?? []).flatMap(({ processes }) => [processes.enclave, processes.parent]);
  const all = [...ids, state?.cloud.kms.process, state?.cloud.s3.process].filter(
    (id): id is ProcessId => id !== undefined,
  );
  await Promise.all(all.map((id) => stopProcess(id, 'SIGKILL')));
  return state?.networkId;
}

const log = (party: number): string => {
  const file = join(directory, 'logs', `${party}-enclave.log`);
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
};

const hasFounded = (): boolean => existsSync(join(directory, 'configurations.bin'));

function processesHere(): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(home);
      } catch {
        return false;
      }
    });
}

describe('founding of a sealed network', { timeout: 4 * PATIENCE_MS }, () => {
  it('kill -9: in the middle of a founding, twice; it begins anew, and nothing is left of the others', async () => {
    await foundUntil(hasFounded);
    const later = await foundUntil(
      () => hasFounded() && [1, 2, 3, 4].some((party) => log(party).includes('"step":"ready"')),
    );
    expect(later).toMatch(/^[0-9a-f]{64}$/);
    const network = await LocalNetwork.up({ stateDirectory: directory, entry: DIRECT_ENTRY });
    // The same genesis; everything that was sealed is new.
    expect(network.networkId).toBe(later);
    const buckets = await readdir(network.cloud.bucketsDirectory);
    expect(buckets).toHaveLength(4);
    for (const bucket of buckets) expect(bucket).toContain(network.networkId!.slice(0, 16));
    expect(await readdir(network.cloud.keysDirectory)).toHaveLength(4);
    expect(processesHere()).toHaveLength(PROCESSES);
    using client = await clientOf(network);
    const key = await client.generateKey({ preset: 'test-4096', timeoutMs: PATIENCE_MS });
    const value = { kind: 'scalar', value: 5n } as const;
    expect((await client.decrypt(await key.encrypt(value))).value).toEqual(value);
    const { state } = { state: JSON.parse(await readFile(join(directory, 'state.json'), 'utf8')) };
    expect(state).toMatchObject({ format: 2, isComplete: true });
    await network.down({ erase: true });
    expect(processesHere()).toEqual([]);
    expect(existsSync(directory)).toBe(false);
  });
});
