import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../../client/cli/cli.ts';
import { Interrupts } from '../../../client/cli/terminal.ts';
import { LocalNetwork } from '../../../infra/local/network.ts';
import { isAlive, type ProcessId } from '../../../infra/local/process.ts';
import { mockChainHead } from '../../../shared/attestation/roots/mock.ts';
import { openEnvelope, sealEnvelope } from '../../../shared/fhe/envelope.ts';
import { type KeyId, keyId } from '../../../shared/ids.ts';
import { noble } from '../../../shared/noble.ts';
import { freePort } from '../../unit/net/nodes.ts';

const home = mkdtempSync(join(tmpdir(), 'kms-cli-'));
let state = join(home, 'state');
const launcher = new URL('../../../client/bin/kms', import.meta.url).pathname;
const file = (name: string): string => join(home, name);

interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** One command line in this process. */
async function kms(...argv: string[]): Promise<Run> {
  let [stdout, stderr] = ['', ''];
  const code = await runCli(argv, {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    env: { KMS_STATE: state },
    nowMs: () => performance.now(),
    interrupts: new Interrupts(),
  });
  return { code, stdout, stderr };
}

/** A command that succeeds; its JSON object. */
async function json(...argv: string[]) {
  const { code, stdout, stderr } = await kms(...argv, '--json');
  expect({ code, stderr: code === 0 ? '' : stderr, stdout: code === 0 ? '' : stdout }).toEqual({
    code: 0,
    stderr: '',
    stdout: '',
  });
  expect(stdout.trim().split('\n')).toHaveLength(1);
  return JSON.parse(stdout);
}

async function refusal(...argv: string[]) {
  const { code, stdout } = await kms(...argv, '--json');
  const { error } = JSON.parse(stdout);
  expect(error.exitCode).toBe(code);
  return error;
}

/** The real program, found by its launcher. */
function spawned(...argv: string[]): Run {
  const { status, stdout, stderr } = spawnSync(launcher, argv, {
    encoding: 'utf8',
    env: { PATH: '/usr/local/bin:/usr/bin:/bin', KMS_STATE: state },
  });
  return { code: status ?? -1, stdout, stderr };
}

const FOREIGN = keyId('77'.repeat(32));

/** The same body with another header. */
function resealed(envelope: Uint8Array, to: { readonly keyId?: KeyId; readonly noise?: bigint }): Uint8Array {
  const opened = openEnvelope(envelope, noble);
  const bound = { ...opened.bound, bound: to.noise ?? opened.bound.bound };
  return sealEnvelope({ ...opened, keyId: to.keyId ?? opened.keyId, bound }, opened.body);
}

/** Where an envelope's level stands: before the 32-byte bound, the body's length and the body. */
function levelAt(envelope: Uint8Array): number {
  return envelope.length - openEnvelope(envelope, noble).body.length - 4 - 32 - 1;
}

let key = '';
const handles: Record<string, string> = {};

beforeAll(() => {
  const { code, stdout, stderr } = spawned('net', 'up', '--json');
  if (code !== 0) throw new Error(`no network: ${stdout}${stderr}`);
  expect(JSON.parse(stdout)).toMatchObject({
    state,
    n: 4,
    t: 1,
    networkId: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
}, 120_000);

afterAll(async () => {
  for (const directory of new Set([join(home, 'state'), state])) {
    await (await LocalNetwork.open(directory)).down({ erase: true }).catch(() => {});
  }
  rmSync(home, { recursive: true, force: true });
}, 60_000);

describe('kms with a local network', { timeout: 180_000 }, () => {
  it('net up: of a network that is up changes nothing; another size is refused', async () => {
    expect(await json('net', 'up')).toMatchObject({ n: 4, t: 1 });
    expect(await refusal('net', 'up', '--parties', '7')).toMatchObject({ code: 'BAD_INPUT', exitCode: 3 });
  });

  it('net status: eight processes', async () => {
    const { nodes } = await json('net', 'status');
    expect(nodes).toHaveLength(4);
    for (const node of nodes) expect(node).toMatchObject({ enclave: true, parent: true });
  });

  it('keys, encrypt: say that there is no key yet', async () => {
    expect(await json('keys')).toEqual({ keys: [] });
    const error = await refusal('encrypt', '--value', '1', '-o', file('none.ct'));
    expect(error).toMatchObject({ code: 'UNKNOWN_KEY', exitCode: 3 });
  });

  it('keygen: too few operators wait for the others; whoever is none is refused', async () => {
    const operator = join(state, 'accounts', 'operator-1.key');
    const argv = ['keygen', '--preset', 'test-4096', '--timeout', '2'];
    const waiting = await refusal(...argv, '--operator', operator);
    expect(waiting).toMatchObject({ code: 'TIMEOUT', exitCode: 4 });
    expect(waiting.message).toContain('approvals of more operators');
    const stranger = await refusal(...argv, '--operator', join(state, 'accounts', 'user.key'));
    expect(stranger).toMatchObject({ code: 'NOT_PERMITTED', exitCode: 5 });
  });

  it('keygen: makes an active key, with what is waited for and a warning on stderr', async () => {
    const { code, stdout, stderr } = spawned('keygen', '--preset', 'test-4096', '--json');
    expect([code, code === 0 ? '' : stdout]).toEqual([0, '']);
    expect(stderr).toContain('tests only');
    for (const step of ['operators approve', 'nodes generate a key', 'learns that the key is active']) {
      expect(stderr).toContain(step);
    }
    const made = JSON.parse(stdout);
    expect(made).toMatchObject({
      key: expect.stringMatching(/^[0-9a-f]{64}$/),
      preset: 'test-4096',
      galois: 'none',
    });
    key = made.key;
    expect(await json('keys')).toEqual({
      keys: [{ key, preset: 'test-4096', galois: 'none', epoch: 0, testOnly: true }],
    });
    const again = await refusal('keygen', '--preset', 'test-4096');
    expect(again).toMatchObject({ code: 'BAD_INPUT', exitCode: 3 });
    expect(again.message).toContain(key);
  });

  it('encrypt: numbers and vectors, by the only key, a beginning of its id, or the whole', async () => {
    const a = await json('encrypt', '--value', '42', '-o', file('a.ct'));
    expect(a).toMatchObject({ key, kind: 'scalar', bytes: statSync(file('a.ct')).size });
    await json('encrypt', '--key', key.slice(0, 6), '--value', '5', '-o', file('b.ct'));
    await json('encrypt', '-k', key, '--vector', '1,2,3', '-o', file('v.ct'));
    expect((await refusal('encrypt', '--value', '99999999999', '-o', file('x.ct'))).code).toBe('BAD_INPUT');
    expect((await refusal('encrypt', '-k', 'nonsense', '--value', '1', '-o', file('x.ct'))).exitCode).toBe(3);
    const other = key.startsWith('0000') ? '1111' : '0000';
    expect((await refusal('encrypt', '-k', other, '--value', '1', '-o', file('x.ct'))).code).toBe(
      'UNKNOWN_KEY',
    );
  });

  it('input: gives handles; whoever is no submitter brings nothing', async () => {
    for (const name of ['a', 'b', 'v']) {
      const brought = await json('input', file(`${name}.ct`));
      expect(brought).toMatchObject({ key, kind: name === 'v' ? 'vector' : 'scalar' });
      handles[name] = brought.handle;
    }
    const plain = await kms('input', file('a.ct'));
    expect(plain).toMatchObject({ code: 0, stdout: expect.stringMatching(/^0x[0-9a-f]{64}\n$/) });
    const argv = ['input', file('a.ct'), '--submitter', join(state, 'accounts', 'user.key')];
    expect(await refusal(...argv)).toMatchObject({ code: 'NOT_PERMITTED', exitCode: 5 });
    expect(await refusal('input', file('a.ct'), '--host', '7')).toMatchObject({ code: 'BAD_INPUT' });
  });

  it('eval: adds, subtracts, multiplies, also by numbers, and refuses what would never be decrypted', async () => {
    const evaluated = async (...argv: readonly string[]): Promise<string> =>
      (await json('eval', ...argv)).handle;
    handles.sum = await evaluated('add', handles.a!, handles.b!);
    handles.difference = await evaluated('sub', handles.a!, handles.b!);
    handles.product = await evaluated('mul', handles.sum, handles.v!);
    handles.plain = await evaluated('add', await evaluated('mul', handles.b!, '3'), '1');
    const deeper = await refusal('eval', 'mul', handles.product, handles.product);
    expect(deeper).toMatchObject({ code: 'TOO_NOISY', exitCode: 5 });
    const other = ['--account', join(state, 'accounts', 'user-2.key')];
    const foreign = await refusal('eval', 'add', handles.a!, handles.b!, ...other);
    expect(foreign).toMatchObject({ code: 'NOT_PERMITTED', exitCode: 5 });
    expect(foreign.message).toContain('NotAllowed');
    const unknown = await refusal('eval', 'add', handles.a!, handles.a!, '--host', '31339');
    expect(unknown.exitCode).not.toBe(0);
  });

  it('decrypt: gives the values that the nodes signed, of handles and of files', async () => {
    const { code, stdout, stderr } = spawned('decrypt', handles.sum!);
    expect([code, stdout]).toEqual([0, '47\n']);
    expect(stderr).not.toContain('KEY-EXPOSING');
    expect(stderr).toContain('nodes answer request');
    expect(await kms('decrypt', handles.difference!)).toMatchObject({ code: 0, stdout: '37\n' });
    expect(await kms('decrypt', handles.plain!)).toMatchObject({ code: 0, stdout: '16\n' });
    const product = await json('decrypt', handles.product!);
    expect(product).toMatchObject({ kind: 'vector', values: [47, 94, 141], culprits: [] });
    expect(product.agreeing.length).toBeGreaterThanOrEqual(3);
    expect([...product.agreeing, ...product.missing].sort()).toEqual([1, 2, 3, 4]);
    expect(await json('decrypt', file('a.ct'))).toMatchObject({ value: 42, culprits: [] });
    // Public for everybody, so somebody else may ask as well.
    const other = ['--account', join(state, 'accounts', 'user-2.key')];
    expect(await json('decrypt', handles.sum!, ...other)).toMatchObject({ value: 47, handle: handles.sum });
    expect(await refusal('decrypt', handles.a!, ...other)).toMatchObject({ code: 'NOT_PERMITTED' });
  });

  it('transfer: its owner computes with a handle and decrypts it on the other chain; nobody else', async () => {
    expect(await json('transfer', handles.a!, '--to', '31339')).toMatchObject({
      ...{ handle: handles.a, chain: 31339 },
    });
    const there = ['--host', '31339'];
    const { handle } = await json('eval', 'mul', handles.a!, '2', ...there);
    expect(await json('decrypt', handle, ...there)).toMatchObject({ value: 84, culprits: [] });
    const other = ['--account', join(state, 'accounts', 'user-2.key')];
    expect(await refusal('transfer', handles.b!, '--to', '31339', ...other)).toMatchObject({ exitCode: 5 });
    expect(await refusal('transfer', handles.b!, '--to', '31337')).toMatchObject({ code: 'BAD_INPUT' });
    expect((await refusal('transfer', handles.b!)).exitCode).toBe(2);
  });

  it('decrypt: refuses what is no ciphertext and no handle', async () => {
    expect((await refusal('decrypt', launcher)).exitCode).toBe(3);
    expect((await refusal('decrypt', home)).exitCode).toBe(3);
    expect(await refusal('decrypt', `0x${'00'.repeat(32)}`)).toMatchObject({ code: 'BAD_ENCODING' });
  });

  it('user-decrypt: with a key of the user, who alone learns the value', async () => {
    await json('user-keygen', '-o', file('me.key'));
    const mine = ['--user-key', file('me.key')];
    const { code, stdout, stderr } = await kms('user-decrypt', handles.a!, ...mine, '--json');
    expect([code, code === 0 ? '' : stdout]).toEqual([0, '']);
    expect(JSON.parse(stdout)).toMatchObject({ kind: 'scalar', value: 42, handle: handles.a, culprits: [] });
    expect(stderr).not.toContain('KEY-EXPOSING');
    expect(await json('user-decrypt', handles.v!, ...mine)).toMatchObject({ values: [1, 2, 3] });
    expect(await json('user-decrypt', file('b.ct'), ...mine)).toMatchObject({ value: 5, culprits: [] });
    const other = ['--account', join(state, 'accounts', 'user-2.key')];
    const foreign = await refusal('user-decrypt', handles.b!, ...mine, ...other);
    expect(foreign).toMatchObject({ code: 'NOT_PERMITTED', exitCode: 5 });
    // What is public anybody may have sealed to his own key.
    expect(await json('user-decrypt', handles.sum!, ...mine, ...other)).toMatchObject({ value: 47 });
  });

  it.each<[string, (good: Uint8Array) => Uint8Array, string, number]>([
    ['truncated', (good) => good.slice(0, -1), 'BAD_ENCODING', 3],
    ['extended', (good) => Uint8Array.from([...good, 0]), 'BAD_ENCODING', 3],
    ['empty', () => new Uint8Array(0), 'BAD_ENCODING', 3],
    ['of another file type', (good) => good.with(0, 0), 'BAD_ENCODING', 3],
    ['with an unreduced residue', (good) => good.with(good.length - 1, 0xff), 'BAD_ENCODING', 3],
    [
      'of a key that the network does not have',
      (good) => resealed(good, { keyId: FOREIGN }),
      'UNKNOWN_KEY',
      3,
    ],
    ['that claims another level than it has', (good) => good.with(levelAt(good), 2), 'WRONG_LEVEL', 3],
    ['that may be too noisy', (good) => resealed(good, { noise: 1n << 200n }), 'TOO_NOISY', 5],
    ['that is not fresh', (good) => resealed(good, { noise: 1n }), 'BAD_INPUT', 3],
    ['larger than any ciphertext', () => new Uint8Array(5 << 20), 'TOO_LARGE', 3],
  ])(
    'input, decrypt, user-decrypt: a ciphertext %s is refused with one clear error',
    async (_, damage, code, exitCode) => {
      const path = file('damaged.ct');
      writeFileSync(path, damage(new Uint8Array(readFileSync(file('a.ct')))));
      for (const argv of [
        ['input', path],
        ['decrypt', path],
        ['user-decrypt', path, '--user-key', file('me.key')],
      ]) {
        const error = await refusal(...argv);
        expect(error).toMatchObject({ code, exitCode, culprits: [] });
        expect(error.message.length).toBeGreaterThan(10);
        const { code: plain, stdout, stderr } = await kms(...argv);
        expect([plain, stdout]).toEqual([exitCode, '']);
        expect(stderr).toContain(error.message);
      }
    },
  );

  it('accounts: files that others can read or that hold no key are refused', async () => {
    const path = file('account.key');
    writeFileSync(path, readFileSync(join(state, 'accounts', 'user.key')), { mode: 0o644 });
    expect(await refusal('decrypt', handles.sum!, '--account', path)).toMatchObject({ exitCode: 3 });
    chmodSync(path, 0o600);
    expect(await json('decrypt', handles.sum!, '--account', path)).toMatchObject({ value: 47 });
    writeFileSync(path, 'no key');
    expect(await refusal('decrypt', handles.sum!, '--account', path)).toMatchObject({ code: 'BAD_INPUT' });
  });

  it('gateway file: of another gateway is refused', async () => {
    const places = JSON.parse(readFileSync(join(state, 'gateway.json'), 'utf8'));
    places.gateway.registry = `0x${'11'.repeat(20)}`;
    writeFileSync(file('gateway.json'), JSON.stringify(places));
    const error = await refusal('decrypt', handles.sum!, '--gateway-file', file('gateway.json'));
    expect(error).toMatchObject({ code: 'BAD_CONFIGURATION', exitCode: 5 });
  });

  it('bench: measures and checks', async () => {
    const { code, stdout } = await kms('bench', '--runs', '1', '--json');
    expect([code, code === 0 ? '' : stdout]).toEqual([0, '']);
    const names = JSON.parse(stdout).results.map((result: { name: string }) => result.name);
    const jobs = ['encrypt', 'input', 'decrypt', 'user-decrypt'];
    expect(names).toEqual(['scalar', 'vector'].flatMap((kind) => jobs.map((job) => `${job}-${kind}`)));
  });

  it('keygen: Ctrl-C ends it with 130; what was commanded goes on, and nothing else is harmed', async () => {
    const child = spawn(launcher, ['keygen', '--preset', 'bfv-8192', '--json'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: '/usr/local/bin:/usr/bin:/bin', KMS_STATE: state },
    });
    const exit = once(child, 'exit');
    child.stderr.on('data', (text) => {
      if (`${text}`.includes('nodes generate a key')) child.kill('SIGINT');
    });
    expect((await exit)[0]).toBe(130);
    const { nodes } = await json('net', 'status');
    for (const node of nodes) expect(node).toMatchObject({ enclave: true, parent: true, phase: 'ready' });
    await json('encrypt', '-k', key, '--value', '12', '-o', file('after.ct'));
    expect(await json('decrypt', file('after.ct'))).toMatchObject({ value: 12, culprits: [] });
    await expect.poll(async () => (await json('keys')).keys.length, { timeout: 60_000 }).toBe(2);
  });

  it('nodes down: one is done without, two give a clear error, and back up the same command succeeds', async () => {
    const network = await LocalNetwork.open(state);
    const mine = ['--user-key', file('me.key')];
    await network.stopNode(1, { signal: 'SIGKILL' });
    await json('encrypt', '-k', key, '--value', '9', '-o', file('c.ct'));
    expect(await json('decrypt', file('c.ct'))).toMatchObject({
      ...{ value: 9, agreeing: [2, 3, 4], missing: [1] },
    });
    expect(await json('user-decrypt', file('c.ct'), ...mine)).toMatchObject({
      ...{ value: 9, agreeing: [2, 3, 4], missing: [1] },
    });
    await network.stopNode(3);
    await json('encrypt', '-k', key, '--value', '10', '-o', file('d.ct'));
    const { handle } = await json('input', file('d.ct'));
    const unanswered = await refusal('decrypt', handle, '--timeout', '15');
    expect(unanswered).toMatchObject({ code: 'TIMEOUT', exitCode: 4 });
    expect(unanswered.message).toMatch(/nodes answer request \d+/);
    const user = await refusal('user-decrypt', handle, ...mine, '--timeout', '15');
    expect(user).toMatchObject({ code: 'NOT_ENOUGH_PARTIES', exitCode: 4, missing: [1, 3] });
    expect((await refusal('keys')).exitCode).toBe(4);
    await json('net', 'up');
    expect(await json('decrypt', handle)).toMatchObject({ value: 10, culprits: [] });
  });

  it('genesis: of another network is refused, its configurations are not', async () => {
    const genesis = readFileSync(join(state, 'genesis.bin'));
    const at = genesis.indexOf('local');
    expect(at).toBeGreaterThan(0);
    genesis.write('other', at);
    const path = file('other.bin');
    writeFileSync(path, genesis);
    const argv = ['keys', '--genesis', path, '--config', join(state, 'configurations.bin')];
    expect(await refusal(...argv)).toMatchObject({ code: 'BAD_CONFIGURATION', exitCode: 5 });
  });

  it('net genesis: from operators keys to a founded network on paper', async () => {
    const key = (i: number): string => file(`operator-${i}`);
    for (const i of [1, 2, 3, 4]) await json('net', 'governance-keygen', '-o', key(i));
    expect(statSync(key(1)).mode & 0o777).toBe(0o600);
    expect(readFileSync(key(1)).toString('latin1')).toMatch(/^SECRET: kms operator governance key/);
    expect((await refusal('net', 'governance-keygen', '-o', key(1))).exitCode).toBe(3);
    const genesis = file('paper-genesis.bin');
    const publics = [1, 2, 3, 4].map((i) => `${key(i)}.pub`).join(',');
    const root = '641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b';
    const named = ['--name', 'paper', '--root', root, '--governance', publics];
    // Without a gateway nobody would order what its nodes do.
    expect((await refusal('net', 'genesis', ...named, '-o', genesis)).code).toBe('BAD_GENESIS');
    const endpoint = { url: 'https://rpc.example', spkiPins: ['44'.repeat(32)] };
    writeFileSync(file('rpc.json'), JSON.stringify({ k: 1, endpoints: [endpoint] }));
    const chain = ['--chain-id', '1', '--registry', `0x${'07'.repeat(20)}`, '--code-hash', '33'.repeat(32)];
    const onChain = [...named, ...chain, '--rpc', file('rpc.json')];
    const made = await json('net', 'genesis', ...onChain, '-o', genesis);
    expect(made).toMatchObject({
      networkId: expect.stringMatching(/^6b6d7300/),
      genesis: { class: 'production' },
    });
    const pcr = (digit: string): string => digit.repeat(96);
    writeFileSync(
      file('measurement.json'),
      JSON.stringify({ Measurements: { PCR0: pcr('1'), PCR1: pcr('2'), PCR2: pcr('3') } }),
    );
    writeFileSync(file('debug.json'), JSON.stringify({ PCR0: pcr('0'), PCR1: pcr('0'), PCR2: pcr('0') }));
    const members = [1, 2, 3, 4].map((i) => {
      const account = `${i}`.repeat(12);
      const storage = {
        kmsKey: `arn:aws:kms:eu-central-1:${account}:key/0a1b2c3d-0000-4000-8000-00000000000${i}`,
        role: `arn:aws:iam::${account}:role/node`,
        bucket: `node-${i}`,
      };
      const keys = { identity: `${i}`.repeat(64), bootKey: `${i + 4}`.repeat(64) };
      return { ...keys, address: `n${i}.example:443`, storage };
    });
    writeFileSync(file('members.json'), JSON.stringify(members));
    const where = ['--genesis', genesis, '--config', file('paper-configurations.bin')];
    const zero = file('zero.bin');
    const propose = ['net', 'config', 'propose', ...where, '--members', file('members.json')];
    const debug = await refusal(...propose, '--allow', file('debug.json'), '-o', zero);
    expect(debug).toMatchObject({ code: 'BAD_CONFIGURATION', exitCode: 5 });
    await json(...propose, '--allow', file('measurement.json'), '-o', zero);
    for (const i of [1, 2, 3]) await json('net', 'config', 'sign', ...where, zero, '--key', key(i));
    await json('net', 'config', 'apply', ...where, zero);
    expect(await json('net', 'config', 'show', ...where)).toMatchObject({ isKnown: true, signed: [1, 2, 3] });
    const joining = await refusal('node', 'join', ...where, `127.0.0.1:${await freePort()}`);
    expect(joining).toMatchObject({ code: 'UNAVAILABLE', exitCode: 4 });
    const { nodes } = await json('net', 'status');
    const foreign = await refusal('node', 'join', ...where, nodes[0].address);
    expect(foreign).toMatchObject({ code: 'BAD_PEER', exitCode: 5 });
    chmodSync(key(1), 0o644);
    expect((await refusal('net', 'config', 'sign', ...where, zero, '--key', key(1))).exitCode).toBe(3);
  });

  it('net down: leaves no process and no socket', async () => {
    const { nodes, socketRoot } = readState();
    const processes = nodes.flatMap((node) => [node.processes.enclave, node.processes.parent]);
    expect(processes).toHaveLength(8);
    const down = spawned('net', 'down', '--json');
    expect([down.code, JSON.parse(down.stdout)]).toEqual([0, { state, erased: false }]);
    for (const process of processes) expect(await isAlive(process)).toBe(false);
    expect(() => readdirSync(socketRoot)).toThrow();
    expect((await refusal('keys')).exitCode).toBe(4);
  });
});

describe('kms with a local network without a gateway', { timeout: 120_000 }, () => {
  beforeAll(async () => {
    state = join(home, 'without');
    await LocalNetwork.up({ stateDirectory: state });
  }, 120_000);

  it.each([
    ['keygen'],
    ['input', file('a.ct')],
    ['decrypt', file('a.ct')],
    ['user-decrypt', file('a.ct'), '--user-key', file('me.key')],
  ])('%s: says that it needs a gateway', async (...argv) => {
    const accounts = join(home, 'state', 'accounts');
    const named = ['operator-1', 'user', 'submitter'].map((name) => join(accounts, `${name}.key`));
    const options =
      argv[0] === 'keygen' ? ['--operator', named[0]!] : ['--account', named[1]!, '--submitter', named[2]!];
    const error = await refusal(...argv, ...options);
    expect(error).toMatchObject({ code: 'UNAVAILABLE', exitCode: 4 });
    expect(error.message).toContain('gateway');
  });

  it('net config: a node moves to another address; signed by 3 of 4 operators, keys and network stay', async () => {
    const before = (await json('net', 'status')).nodes;
    const to = `127.0.0.1:${await freePort()}`;
    const next = file('next.bin');
    const operator = (party: number): string => join(state, 'governance', `${party}.key`);
    const proposal = ['--address', `4=${to}`, '--overlap', '1', '-o', next];
    const { number } = await json('net', 'config', 'propose', ...proposal);
    expect(number).toBe(1);
    expect(await refusal('net', 'config', 'apply', next)).toMatchObject({
      code: 'BAD_SIGNATURE',
      exitCode: 5,
    });
    for (const party of [4, 2, 1]) await json('net', 'config', 'sign', next, '--key', operator(party));
    const again = await refusal('net', 'config', 'sign', next, '--key', operator(2));
    expect(again).toMatchObject({ code: 'BAD_INPUT', exitCode: 3 });
    expect(await json('net', 'config', 'show', next)).toMatchObject({
      signed: [1, 2, 4],
      missing: 0,
      isKnown: false,
    });
    await json('net', 'config', 'apply', next);
    const shown = await json('net', 'config', 'show');
    expect(shown).toMatchObject({ isKnown: true, configuration: { number: 1 } });
    expect(await json('node', 'join', before[0].address)).toMatchObject({ party: 1, configuration: 1 });
    const { activationBlock } = shown.configuration;
    while (mockChainHead(() => Date.now()).block() < activationBlock) await sleep(200);
    const { addresses } = await LocalNetwork.up({ stateDirectory: state });
    expect(addresses).toEqual([...before.slice(0, 3).map(({ address }: { address: string }) => address), to]);
    expect(await json('keys')).toEqual({ keys: [] });
    expect(await json('node', 'show', to, '--genesis', join(state, 'genesis.bin'))).toMatchObject({
      phase: 'ready',
      network: { party: 4, configuration: { number: 1 } },
    });
  });
});

interface State {
  readonly socketRoot: string;
  readonly nodes: readonly {
    readonly processes: { readonly enclave: ProcessId; readonly parent: ProcessId };
  }[];
}

function readState(): State {
  return JSON.parse(readFileSync(join(state, 'state.json'), 'utf8'));
}
