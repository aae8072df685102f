import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../../client/cli/cli.ts';
import { SeenFiles } from '../../../client/cli/pins.ts';
import { Interrupts } from '../../../client/cli/terminal.ts';
import { digest } from '../../../shared/ids.ts';
import type { ConfigurationChain } from '../../../shared/network/chain.ts';
import { encodeConfigurations } from '../../../shared/network/configuration-file.ts';
import { encodeGenesis } from '../../../shared/network/genesis.ts';
import { operators, signedBy, successor } from '../../simulator/network.ts';
import { FakeNetwork, fakeApi } from './fake-node.ts';

const directory = mkdtempSync(join(tmpdir(), 'kms-pins-'));
let network: FakeNetwork;
let later: ConfigurationChain;
let rival: ConfigurationChain;

beforeAll(async () => {
  network = await FakeNetwork.start();
  network.apis = [1, 2, 3, 4].map(() => fakeApi({ listKeys: async () => [] }));
  const next = successor(network.chain);
  later = network.chain.extend(signedBy(operators(4), next));
  const { overlapUntilBlock } = next;
  rival = network.chain.extend(signedBy(operators(4), { ...next, overlapUntilBlock: overlapUntilBlock + 1 }));
});
afterAll(async () => {
  await network.close();
  rmSync(directory, { recursive: true, force: true });
});

function state(name: string): string {
  return join(directory, name);
}

/** `kms <argv>` on the files of a chain, in a state directory. */
async function kms(where: string, chain: ConfigurationChain, ...argv: string[]) {
  const [genesis, config] = ['genesis.bin', 'configurations.bin'].map((name) => join(directory, name));
  writeFileSync(genesis!, encodeGenesis(chain.genesis));
  writeFileSync(config!, encodeConfigurations(chain.links.map(({ signed }) => signed)));
  let [stdout, stderr] = ['', ''];
  const code = await runCli([...argv, '--genesis', genesis!], {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    env: { KMS_STATE: state(where) },
    nowMs: () => 0,
    interrupts: new Interrupts(),
  });
  return { code, stdout, stderr };
}

describe('kms --pin', () => {
  it('pin: of a configuration that the network has is fine, any other is refused, and no hash is usage', async () => {
    const { chain } = network;
    expect((await kms('a', chain, 'keys', '--pin', chain.newest.digest)).code).toBe(0);
    const wrong = await kms('a', chain, 'keys', '--pin', '12'.repeat(32));
    expect([wrong.code, wrong.stderr]).toEqual([5, expect.stringContaining('is the pinned 1212')]);
    expect((await kms('a', chain, 'attest', '--pin', '12'.repeat(32))).code).toBe(5);
    expect((await kms('a', chain, 'net', 'config', 'show', '--pin', '12'.repeat(32))).code).toBe(5);
    for (const text of ['12', 'x'.repeat(64)]) {
      expect((await kms('a', chain, 'keys', '--pin', text)).code).toBe(2);
    }
  });

  it('pin: `net config show` prints what is pinned', async () => {
    const { stdout } = await kms('b', later, 'net', 'config', 'show', '--json');
    const { digest: shown } = JSON.parse(stdout);
    expect(shown).toBe(later.newest.digest);
    expect((await kms('b', later, 'keys', '--pin', shown)).code).toBe(0);
  });

  it('seen: the highest configuration stays over runs, and nothing before it or beside it is taken', async () => {
    const { chain } = network;
    expect((await kms('c', chain, 'keys')).code).toBe(0);
    expect((await kms('c', later, 'keys')).code).toBe(0);
    for (const command of [['keys'], ['attest'], ['net', 'config', 'show']]) {
      const back = await kms('c', chain, ...command);
      expect([back.code, back.stderr]).toEqual([5, expect.stringContaining('get the newer file')]);
    }
    const beside = await kms('c', rival, 'keys', '--json');
    expect([beside.code, JSON.parse(beside.stdout).error.code]).toEqual([5, 'CONFLICT']);
    expect((await kms('c', later, 'keys')).code).toBe(0);
    // Another state directory knows nothing of it.
    expect((await kms('d', chain, 'keys')).code).toBe(0);
  });

  it('seen: what only operators look at is not remembered', async () => {
    await kms('e', later, 'net', 'config', 'show');
    expect((await kms('e', network.chain, 'keys')).code).toBe(0);
  });
});

describe('seen files', () => {
  const id = digest('6d6f636b'.padEnd(64, '1'));
  const [a, b] = [digest('aa'.repeat(32)), digest('bb'.repeat(32))];

  it('seen files: two processes at once leave the higher one', async () => {
    const path = state('race');
    await Promise.all(
      [3, 1, 10, 2, 9].map((number) => new SeenFiles(path).remember(id, { number, digest: a })),
    );
    expect(await new SeenFiles(path).highest(id)).toEqual({ number: 10, digest: a });
    await new SeenFiles(path).remember(id, { number: 4, digest: b });
    expect(await new SeenFiles(path).highest(id)).toEqual({ number: 10, digest: a });
    expect(await new SeenFiles(path).highest(digest('6d6f636b'.padEnd(64, '2')))).toBeUndefined();
  });

  it('seen files: a rival is CONFLICT, a damaged file is BAD_ENCODING, foreign names are nothing', async () => {
    const path = state('damage');
    const files = new SeenFiles(path);
    await files.remember(id, { number: 1, digest: a });
    await expect(files.remember(id, { number: 1, digest: b })).rejects.toMatchObject({ code: 'CONFLICT' });
    for (const name of ['2.123.tmp', '02', 'x', '-1']) writeFileSync(join(path, id, name), '');
    expect(await files.highest(id)).toEqual({ number: 1, digest: a });
    expect(readdirSync(join(path, id))).toContain('1');
    writeFileSync(join(path, id, '2'), '');
    await expect(files.highest(id)).rejects.toMatchObject({ code: 'BAD_ENCODING' });
  });
});
