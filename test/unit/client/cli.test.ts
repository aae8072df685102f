import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { commands, runCli } from '../../../client/cli/cli.ts';
import { Interrupts } from '../../../client/cli/terminal.ts';

const directory = mkdtempSync(join(tmpdir(), 'kms-cli-'));
const launcher = new URL('../../../client/bin/kms', import.meta.url).pathname;
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const HANDLE = `0x${'5b'.repeat(24)}000000007a6a0101`;
const ACCOUNT = join(directory, 'account.key');
writeFileSync(ACCOUNT, `${'1'.repeat(64)}\n`, { mode: 0o600 });

interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function kms(...argv: string[]): Promise<Run> {
  let [stdout, stderr] = ['', ''];
  const code = await runCli(argv, {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    env: { KMS_STATE: join(directory, 'no-network') },
    nowMs: () => 0,
    interrupts: new Interrupts(),
  });
  return { code, stdout, stderr };
}

describe('kms', () => {
  it.each([[], ['help'], ['--help'], ['-h']])('help: %s lists every command', async (...argv) => {
    const { code, stdout, stderr } = await kms(...argv);
    expect([code, stderr]).toEqual([0, '']);
    for (const { name, summary } of commands)
      expect(stdout).toMatch(new RegExp(`${name} +${summary.slice(0, 20)}`));
    expect(stdout).toContain('Exit codes:');
  });

  it.each(commands.map(({ name }) => name))('help: on %s, both ways, within 110 columns', async (name) => {
    const { code, stdout } = await kms('help', ...name.split(' '));
    expect(code).toBe(0);
    expect((await kms(...name.split(' '), '--help')).stdout).toBe(stdout);
    expect(stdout).toContain(`Usage: kms ${name}`);
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(110);
  });

  it.each([
    [['nonsense'], 2],
    [['help', 'nonsense'], 2],
    [['encrypt', '--nonsense'], 2],
    [['encrypt', '--value', '1', '--vector', '2', '-o', 'x'], 2],
    [['encrypt', '--value', '-1', '-o', 'x'], 2],
    [['encrypt', '--value', '1'], 2],
    [['eval', 'div', HANDLE, HANDLE], 2],
    [['eval', 'add', HANDLE], 2],
    [['eval', 'add', 'a.ct', HANDLE], 2],
    [['eval', 'add', HANDLE, 'a.ct'], 2],
    [['eval', 'add', HANDLE, '-1'], 2],
    [['eval', 'sub', HANDLE, '1'], 2],
    [['eval', 'add', HANDLE, `0x${'00'.repeat(32)}`], 3],
    [['input'], 2],
    [['input', '/nonexistent.ct'], 3],
    [['input', launcher], 3],
    [['decrypt'], 2],
    [['decrypt', 'a', 'b'], 2],
    [['keygen', '--preset', 'nonsense'], 2],
    [['decrypt', '/nonexistent.ct'], 3],
    [['decrypt', `0x${'00'.repeat(32)}`], 3],
    [['keygen'], 3],
    [['keygen', '--operator', launcher], 3],
    [['decrypt', HANDLE], 3],
    [['decrypt', HANDLE, '--account', ACCOUNT], 4],
    [['eval', 'add', HANDLE, HANDLE, '--account', ACCOUNT], 4],
    [['keygen', '--operator', ACCOUNT, '--operator', ACCOUNT], 4],
    [['user-decrypt', launcher, '--user-key', launcher], 3],
    [['keys'], 4],
    [['encrypt', '--value', '1', '-o', 'x'], 4],
    [['keys', '--timeout', '0'], 2],
    [['keys', '--genesis', launcher], 4],
    [['keys', '--genesis', launcher, '--config', launcher], 5],
  ])('exit code: kms %j gives %i, as text and as JSON', async (argv, expected) => {
    const plain = await kms(...argv);
    expect([plain.code, plain.stdout]).toEqual([expected, '']);
    expect(plain.stderr).toMatch(/^kms: .+\n/);
    const json = await kms(...argv, '--json');
    expect([json.code, json.stderr]).toEqual([expected, '']);
    const { error } = JSON.parse(json.stdout);
    expect(error).toMatchObject({
      code: expect.stringMatching(/^[A-Z_]+$/),
      exitCode: expected,
      culprits: [],
    });
    expect(error.message.length).toBeGreaterThan(10);
  });

  it('user-keygen: writes a private key for its owner only, and never replaces one', async () => {
    const file = join(directory, 'deep', 'user.key');
    const { code, stdout } = await kms('user-keygen', '-o', file, '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ file, publicKeySha256: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const before = readFileSync(file);
    expect((await kms('user-keygen', '-o', file)).code).toBe(3);
    expect(readFileSync(file)).toEqual(before);
  });

  it('user-decrypt: refuses files that are no user key or no ciphertext', async () => {
    const [ciphertext, key] = [join(directory, 'x.ct'), join(directory, 'x.key')];
    writeFileSync(ciphertext, 'not a ciphertext');
    writeFileSync(key, 'kmsu\x02'.padEnd(37, 'x'));
    const { code, stderr } = await kms('user-decrypt', ciphertext, '--user-key', key);
    expect([code, stderr]).toEqual([3, expect.stringContaining('not a user key')]);
  });
});

describe('kms launcher', () => {
  it('run: finds a Node that can run it, passes arguments and exit code', () => {
    const path = '/usr/local/bin:/usr/bin:/bin';
    const help = spawnSync(launcher, ['help', 'eval'], { encoding: 'utf8', env: { PATH: path } });
    expect([help.status, help.stderr]).toEqual([0, '']);
    expect(help.stdout).toContain('Usage: kms eval add|sub|mul HANDLE HANDLE');
    const wrong = spawnSync(launcher, ['nonsense', '--json'], { encoding: 'utf8', env: { PATH: path } });
    expect(wrong.status).toBe(2);
    expect(JSON.parse(wrong.stdout).error.code).toBe('USAGE');
  });
});
