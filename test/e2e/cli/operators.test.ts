import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../../client/cli/cli.ts';
import { Interrupts } from '../../../client/cli/terminal.ts';
import { type CloudState, freshCloud, LocalCloud } from '../../../infra/local/cloud.ts';
import { freePort, type ProcessId, startProcess, stopProcess } from '../../../infra/local/process.ts';
import { MOCK_MEASUREMENT, ROOTS } from '../../../shared/attestation/roots/mock.ts';
import { digest } from '../../../shared/ids.ts';
import { toHex } from '../../../shared/wire/bytes.ts';

/** A network as its operators found it, each step by hand: keys, genesis, KMS keys and buckets, configuration 0, join. */
const PATIENCE_MS = 120_000;
const PARTIES = [1, 2, 3, 4];
const ENCLAVE = fileURLToPath(new URL('../../../enclave/main.ts', import.meta.url));
const PARENT = fileURLToPath(new URL('../../../parent/main.ts', import.meta.url));

interface HandMadeNode {
  readonly address: string;
  readonly directory: string;
  enclave?: ProcessId;
  parent?: ProcessId;
}

let home = '';
let cloud: LocalCloud;
let services: CloudState;
let nodes: readonly HandMadeNode[] = [];
const file = (name: string): string => join(home, name);

async function kms(...argv: string[]) {
  let [stdout, stderr] = ['', ''];
  const code = await runCli([...argv, '--json'], {
    ...{ stdout: { write: (text) => (stdout += text) }, stderr: { write: (text) => (stderr += text) } },
    ...{ env: { KMS_STATE: file('none') }, nowMs: () => performance.now(), interrupts: new Interrupts() },
  });
  return { code, stderr, answer: JSON.parse(stdout) };
}

async function json(...argv: string[]) {
  const { code, stderr, answer } = await kms(...argv);
  expect([code, code === 0 ? '' : stderr]).toEqual([0, '']);
  return answer;
}

const where = (): string[] => ['--genesis', file('genesis.bin'), '--config', file('configurations.bin')];

async function startEnclave(party: number): Promise<void> {
  const node = nodes[party - 1]!;
  const config = { socketDirectory: node.directory, roundMs: 3_000, openingMs: 10_000 };
  await writeFile(join(node.directory, 'enclave.json'), JSON.stringify(config));
  const args = ['--config', join(node.directory, 'enclave.json')];
  node.enclave = await startProcess(ENCLAVE, args, file(`enclave-${party}.log`));
}

/** Its operator tells the node its network, not its parent: that one has no genesis. */
async function startParent(party: number): Promise<void> {
  const node = nodes[party - 1]!;
  const config = {
    ...{ listen: node.address, socketDirectory: node.directory, hosts: cloud.hosts(services) },
    ...{ configurationsFile: file('configurations.bin'), credentialsFile: cloud.credentialsFile(party) },
  };
  await writeFile(join(node.directory, 'parent.json'), JSON.stringify(config));
  const args = ['--config', join(node.directory, 'parent.json')];
  node.parent = await startProcess(PARENT, args, file(`parent-${party}.log`));
}

async function phaseOf(party: number, ...more: string[]): Promise<string | undefined> {
  const { code, answer } = await kms('node', 'show', nodes[party - 1]!.address, ...more);
  return code === 0 ? answer.phase : undefined;
}

async function until(party: number, phase: string, ...more: string[]): Promise<void> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  while ((await phaseOf(party, ...more)) !== phase) {
    if (performance.now() > deadlineMs) throw new Error(`node ${party} is never ${phase}`);
    await sleep(100);
  }
}

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'kms-operators-'));
  cloud = new LocalCloud(file('cloud'), PARTIES.length, 'mock');
  services = await cloud.start(await freshCloud(), home);
  const made: HandMadeNode[] = [];
  for (const party of PARTIES) {
    const directory = file(`${party}`);
    await mkdir(directory);
    made.push({ address: `127.0.0.1:${await freePort()}`, directory });
  }
  nodes = made;
  for (const party of PARTIES) {
    await startEnclave(party);
    await startParent(party);
  }
}, PATIENCE_MS);

afterAll(async () => {
  const ids = nodes.flatMap(({ enclave, parent }) => [enclave, parent]).filter((id) => id !== undefined);
  await Promise.all(ids.map((id) => stopProcess(id)));
  if (services !== undefined) await cloud.stop(services);
  await rm(home, { recursive: true, force: true });
}, PATIENCE_MS);

describe('operators', { timeout: 2 * PATIENCE_MS }, () => {
  it('found a network by hand, whose nodes seal in their accounts', async () => {
    const key = (party: number): string => file(`operator-${party}`);
    for (const party of PARTIES) await json('net', 'governance-keygen', '-o', key(party));
    const publics = PARTIES.map((party) => `${key(party)}.pub`).join(',');
    const named = [
      '--name',
      'by-hand',
      '--class',
      'mock',
      '--root',
      ROOTS[0]!.sha256,
      '--governance',
      publics,
    ];
    const { networkId } = await json('net', 'genesis', ...named, '-o', file('genesis.bin'));
    // The policy of each KMS key names the network; buckets belong to the same accounts.
    await writeFile(
      file('storage.json'),
      JSON.stringify(await cloud.provision(services, digest(networkId), () => MOCK_MEASUREMENT)),
    );
    const pcrs = { PCR0: MOCK_MEASUREMENT.pcr0, PCR1: MOCK_MEASUREMENT.pcr1, PCR2: MOCK_MEASUREMENT.pcr2 };
    const measured = Object.entries(pcrs).map(([name, value]) => [name, toHex(value)]);
    await writeFile(file('image.json'), JSON.stringify({ Measurements: Object.fromEntries(measured) }));
    for (const party of PARTIES) await until(party, 'unjoined');
    const addresses = nodes.map(({ address }) => address).join(',');
    const propose = ['net', 'config', 'propose', ...where(), '--nodes', addresses];
    const without = await kms(...propose, '--allow', file('image.json'), '-o', file('zero.bin'));
    expect(without.code).not.toBe(0);
    expect(existsSync(file('zero.bin'))).toBe(false);
    await json(
      ...propose,
      ...['--storage', file('storage.json'), '--allow', file('image.json'), '-o', file('zero.bin')],
    );
    for (const party of [1, 2, 4]) {
      await json('net', 'config', 'sign', ...where(), file('zero.bin'), '--key', key(party));
    }
    await json('net', 'config', 'apply', ...where(), file('zero.bin'));
    for (const party of PARTIES) {
      expect(await json('node', 'join', ...where(), nodes[party - 1]!.address)).toMatchObject({
        party,
        configuration: 0,
      });
    }
    for (const party of PARTIES) await until(party, 'ready', '--genesis', file('genesis.bin'));
    expect(await json('keys', ...where())).toEqual({ keys: [] });
    // Its genesis names no gateway, and nothing but a gateway orders anything.
    const commanded = await kms('keygen', '--operator', file('nobody.key'), ...where());
    expect(commanded.code).not.toBe(0);
  });

  it('tell a node that starts again which member it is; another number opens nothing', async () => {
    const [first] = nodes;
    await stopProcess(first!.enclave!, 'SIGKILL');
    await startEnclave(1);
    await until(1, 'unjoined');
    const lost = await kms('node', 'join', ...where(), first!.address);
    expect(lost).toMatchObject({ code: 5, answer: { error: { code: 'BAD_CONFIGURATION' } } });
    const other = await kms('node', 'join', '--party', '2', ...where(), first!.address);
    expect(other.code).not.toBe(0);
    expect(['KMS_REFUSED', 'KMS_POLICY']).toContain(other.answer.error.code);
    expect(await json('node', 'join', '--party', '1', ...where(), first!.address)).toMatchObject({
      party: 1,
    });
    await until(1, 'ready', '--genesis', file('genesis.bin'));
    expect(await json('keys', ...where())).toEqual({ keys: [] });
    expect((await readFile(file('enclave-1.log'), 'utf8')).length).toBeGreaterThan(0);
  });
});
