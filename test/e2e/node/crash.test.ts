import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readNetwork } from '../../../infra/local/founding.ts';
import { LocalNetwork } from '../../../infra/local/network.ts';
import { DirectClient } from '../../direct/client.ts';
import { DIRECT_ENTRY } from '../../direct/entry.ts';

let directory = '';
let network: LocalNetwork;
let client: DirectClient;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kms-crash-'));
  network = await LocalNetwork.up({
    stateDirectory: directory,
    entry: DIRECT_ENTRY,
    n: 4,
    t: 1,
    roundMs: 3_000,
    openingMs: 10_000,
  });
  const { genesis, links } = await readNetwork(directory);
  client = await DirectClient.connect({ genesis, configurations: links.map(({ signed }) => signed) });
});

afterAll(async () => {
  client?.[Symbol.dispose]();
  await network?.down({ erase: true });
  await rm(directory, { recursive: true, force: true });
});

const value = (number: number) => ({ kind: 'scalar', value: BigInt(number) }) as const;

describe('crash of a process during key generation', () => {
  // The delays fall into agreement, seed setup, openings and certification on machines of very different speed; what must
  // hold does not depend on where.
  test.each([
    ['enclave', 30],
    ['enclave', 150],
    ['enclave', 350],
    ['parent', 200],
  ] as const)(
    'crash: killing an %s after %i ms leaves a finished key or a clean retry',
    async (role, delayMs) => {
      const victim = 3;
      const generating = client.generateKey({ preset: 'test-4096', timeoutMs: 60_000 });
      generating.catch(() => undefined);
      await sleep(delayMs);
      await network.stopNode(victim, { role, signal: 'SIGKILL' });
      await network.startNode(victim, { role });
      // Three of four are enough, whatever became of the fourth.
      const key = await generating;
      const envelope = await key.encrypt(value(delayMs));
      expect((await client.decrypt(envelope)).value).toEqual(value(delayMs));
      // The fourth gets the key and its share, so that another may now fail instead.
      await network.connected();
      await network.stopNode(1);
      const again = await key.encrypt(value(delayMs + 1));
      await expect
        .poll(async () => (await client.decrypt(again).catch(() => undefined))?.value, {
          timeout: 40_000,
          interval: 500,
        })
        .toEqual(value(delayMs + 1));
      await network.startNode(1);
      await network.connected();
    },
  );

  test('crash: with two of four nodes down nothing is half done, and the same ciphertext decrypts afterwards', async () => {
    const key = await client.generateKey({ preset: 'test-4096', timeoutMs: 60_000 });
    const envelope = await key.encrypt(value(7));
    await network.stopNode(2);
    await network.stopNode(4);
    await expect(client.decrypt(envelope)).rejects.toMatchObject({
      code: 'NOT_ENOUGH_PARTIES',
      missing: [2, 4],
    });
    await network.startNode(2);
    await network.startNode(4);
    await network.connected();
    expect((await client.decrypt(envelope)).value).toEqual(value(7));
  });
});
