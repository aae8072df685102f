import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../../client/cli/cli.ts';
import { Interrupts } from '../../../client/cli/terminal.ts';
import type { NetworkKey } from '../../../client/sdk/network-key.ts';
import { PATIENCE_MS, SealedNetwork } from './sealed-network.ts';

/** One network through what happens to nodes that seal: each test goes on where the one before ended. */
let network: SealedNetwork;
const keys: NetworkKey[] = [];

beforeAll(async () => {
  network = await SealedNetwork.up();
  keys.push(await network.generate());
}, PATIENCE_MS);

afterAll(async () => {
  await network?.[Symbol.asyncDispose]();
}, PATIENCE_MS);

async function kms(...argv: string[]): Promise<void> {
  let text = '';
  const out = { write: (part: string) => (text += part) };
  const code = await runCli(argv, {
    ...{ stdout: out, stderr: out, nowMs: () => performance.now(), interrupts: new Interrupts() },
    env: { KMS_STATE: network.local.directory },
  });
  expect([code, text]).toEqual([0, text]);
}

describe('sealed nodes', { timeout: 2 * PATIENCE_MS }, () => {
  it('restart: a node that was killed has its identity, its keys and its share again', async () => {
    const before = (await network.local.status())[1]!.card!.identity;
    await network.restart(2);
    await network.local.connected();
    expect((await network.local.status())[1]!.card!.identity).toEqual(before);
    await network.decryptsBy(keys[0]!, 2);
    const log = await network.log(2);
    for (const phase of ['founding', 'boot', 'unseal', 'catch-up', 'ready']) {
      expect(log).toContain(`"event":"phase","step":"${phase}"`);
    }
  });

  it('cold start: all nodes and both stand-ins killed at once unseal each other', async () => {
    await network.kill(...network.parties);
    await network.local.stopCloud();
    await network.local.startCloud();
    await network.start(...network.parties);
    await network.local.connected();
    await network.decryptsByAll(keys[0]!);
  });

  it('asleep: while a node is away the others make a key and take a configuration; its credentials have ended when it wakes', async () => {
    const sleeper = 4;
    const file = network.local.cloud.credentialsFile(sleeper);
    const good = await readFile(file, 'utf8');
    await network.kill(sleeper);
    keys.push(await network.generate());
    const next = join(network.home, 'next.bin');
    await kms('net', 'config', 'propose', '--overlap', '5', '-o', next);
    for (const party of [1, 2, 3]) {
      await kms('net', 'config', 'sign', next, '--key', network.local.governanceKeyFile(party));
    }
    await kms('net', 'config', 'apply', next);
    for (const address of network.local.addresses.slice(0, 3)) await kms('node', 'join', address);
    // New certificates of the services; the node's own documents are new with its process.
    await network.local.stopCloud();
    await network.local.startCloud();
    await writeFile(file, JSON.stringify({ ...JSON.parse(good), accessKeyId: 'AKIAENDEDENDEDENDED0' }));
    await network.start(sleeper);
    await expect
      .poll(() => network.log(sleeper), { timeout: PATIENCE_MS, interval: 200 })
      .toMatch(/"event":"not-introduced","code":"KMS_REFUSED"/);
    expect((await network.shows(sleeper, 'unjoined')).connectedPeers).toEqual([]);
    await writeFile(file, good);
    await network.local.connected();
    const cards = (await network.local.status()).map(({ card }) => card?.network?.configuration.number);
    expect(cards).toEqual([1, 1, 1, 1]);
    for (const key of keys) await network.decryptsBy(key, sleeper);
  });

  it('for ever: with t nodes dead the others restart, decrypt and make keys', async () => {
    const living = [1, 2, 3];
    await network.kill(4);
    await network.restart(...living);
    await network.local.connected(living);
    for (const key of keys) expect(await network.decrypts(key)).toEqual([4]);
    keys.push(await network.generate());
    await network.restart(2);
    await network.local.connected(living);
    for (const key of keys) expect(await network.decrypts(key)).toEqual([4]);
  });
});
