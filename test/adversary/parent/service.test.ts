import { randomInt } from 'node:crypto';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NetworkKey } from '../../../client/sdk/network-key.ts';
import { systemRng } from '../../../enclave/primitives.ts';
import { LocalNetwork } from '../../../infra/local/network.ts';
import { readState } from '../../../infra/local/state.ts';
import { readParentConfig } from '../../../parent/config.ts';
import { parseAddress } from '../../../shared/address.ts';
import { KmsError } from '../../../shared/errors.ts';
import { generateUserKey } from '../../../shared/protocol/user-decryption/hpke.ts';
import { toHex, utf8 } from '../../../shared/wire/bytes.ts';
import { DirectClient } from '../../direct/client.ts';
import { DIRECT_ENTRY } from '../../direct/entry.ts';
import { DirectService } from '../../direct/generated/kms/direct/v1/direct_pb.js';
import {
  type Conduct,
  corrupting,
  crossing,
  delaying,
  dropping,
  honest,
  misleading,
  reordering,
  repeating,
  swallowing,
  truncating,
} from '../../faults/conduct.ts';
import { HostileParent } from '../../faults/hostile-parent.ts';
import { expectOnlyTls, expectUnseen } from './evidence.ts';

/**
 * Four real enclave processes whose parents are all ours. With one of them hostile every result is right; with all of
 * them hostile it is right or absent; key generation gives a key that works or none; and all is well once they behave.
 */
let network: LocalNetwork;
let client: DirectClient;
let key: NetworkKey;
const parents: HostileParent[] = [];
/** What must never be seen: words of the protocol, and everything sent in this test. */
const SECRETS: Uint8Array[] = ['application/grpc', 'kms.v1.NodeService', 'kms.direct.v1.DirectService'].map(
  utf8,
);
const sent: Uint8Array[] = [];
const PRESET = 'test-4096';

beforeAll(async () => {
  const directory = await mkdtemp(join(tmpdir(), 'kms-hostile-'));
  network = await LocalNetwork.up({
    ...{ stateDirectory: directory, entry: DIRECT_ENTRY, roundMs: 500, openingMs: 5_000 },
  });
  const { nodes } = (await readState(directory))!;
  for (const { party, address, socketDirectory } of nodes) {
    await network.stopNode(party, { role: 'parent', signal: 'SIGKILL' });
    const config = await readParentConfig(join(directory, 'nodes', `${party}`, 'parent.json'));
    parents.push(await HostileParent.open({ socketDirectory, listen: parseAddress(address), config }));
  }
  await connect({ timeoutMs: 5_000 });
  // A key needs n - t nodes, and who was too slow for its generation holds no share: that one counts among the t. With one of
  // four behind a hostile parent all others have to hold one.
  await retried(async () => {
    key = await client.generateKey({ preset: PRESET, timeoutMs: 10_000 });
    await retried(allWhole);
    return allHoldShares();
  });
});

afterAll(async () => {
  client?.[Symbol.dispose]();
  for (const parent of parents) await parent.close();
  await network?.down({ erase: true });
});

async function connect(patience: { readonly timeoutMs: number }): Promise<void> {
  client?.[Symbol.dispose]();
  client = await DirectClient.connect({
    genesis: new Uint8Array(await readFile(network.genesisFile)),
    configurations: new Uint8Array(await readFile(network.configurationsFile)),
    patience,
  });
}

/** Decrypts a value that was never decrypted before. @returns 'right' or why there is no result; a wrong one throws */
async function decrypts(user = false): Promise<string> {
  const value = BigInt(randomInt(100_000));
  const envelope = await key.encrypt({ kind: 'scalar', value });
  sent.push(envelope.slice(200, 4_000));
  try {
    const owner = user ? await generateUserKey(systemRng) : undefined;
    const decryption =
      owner === undefined ? await client.decrypt(envelope) : await client.userDecrypt(envelope, owner);
    expect(decryption.value).toEqual({ kind: 'scalar', value });
    // A parent can garble TLS records, which proves nothing against its node.
    expect(decryption.culprits).toEqual([]);
    return 'right';
  } catch (error) {
    if (error instanceof KmsError) return `${error.code}: ${error.message}`;
    throw error;
  }
}

/** Peers and clients find their way back by themselves; this only waits for it. */
async function retried(attempt: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      if ((await attempt()) !== false) return;
    } catch (error) {
      if (!(error instanceof KmsError)) throw error;
    }
    await sleep(100);
  }
}

/** Every node is ready, has all its peers and has the key: one that was away meanwhile is given it by the others. */
async function allWhole(): Promise<boolean> {
  const { values } = await client.network.ask((node, options) => node.describe({}, options));
  const whole = [...values.values()].filter(
    ({ phase, connectedPeers, keyIds }) =>
      phase === 'ready' && connectedPeers.length === 3 && keyIds.map(toHex).includes(key.id),
  );
  return whole.length === 4;
}

async function allHoldShares(): Promise<boolean> {
  const envelope = await key.encrypt({ kind: 'scalar', value: 1n });
  const { values } = await client.network.askService(DirectService, (node, options) =>
    node.decrypt({ envelope }, options),
  );
  return values.size === 4;
}

async function recovers(): Promise<void> {
  for (const parent of parents) {
    if (parent.conduct === honest) continue;
    parent.conduct = honest;
    parent.cutAll();
  }
  await connect({ timeoutMs: 5_000 });
  await retried(allWhole);
  await retried(async () => (await decrypts()) === 'right');
  noLeak();
}

function noLeak(): void {
  for (const parent of parents) {
    expectOnlyTls(parent.recordings);
    expectUnseen(parent.recordings, [...SECRETS, ...sent]);
    parent.recordings.length = 0;
  }
  sent.length = 0;
}

const conducts: readonly Conduct[] = [
  ...[corrupting(3), dropping(3), reordering, repeating, crossing(), delaying(100), swallowing],
  ...[truncating(3_000), misleading(() => network.addresses[0])],
];

describe('hostile parents', () => {
  it('hostile parents: one of four, whatever it does: results are right', async () => {
    for (const conduct of conducts) {
      parents[2]!.conduct = conduct;
      parents[2]!.cutAll();
      expect(await decrypts(), conduct.name).toBe('right');
    }
    expect(await decrypts(true)).toBe('right');
    await recovers();
  });

  it('hostile parents: all four: results are right or absent, and come when they behave', async () => {
    await connect({ timeoutMs: 1_000 });
    for (const conduct of [corrupting(4), dropping(5), reordering, truncating(30_000), swallowing]) {
      for (const parent of parents) {
        parent.conduct = conduct;
        parent.cutAll();
      }
      await decrypts();
    }
    await recovers();
  });

  it('hostile parents: a key generated in the middle of it is a good one, or there is none', async () => {
    const [victim] = parents;
    let turn = 0;
    const harm = setInterval(() => {
      victim!.conduct = conducts[turn++ % conducts.length] ?? honest;
      if (turn % 3 === 0) victim!.cutAll();
    }, 80);
    const before = key;
    await client.generateKey({ preset: PRESET, timeoutMs: 6_000 }).then(
      (made) => {
        key = made;
      },
      (error: unknown) => expect(error).toBeInstanceOf(KmsError),
    );
    clearInterval(harm);
    if (key !== before) expect(await decrypts()).toBe('right');
    await recovers();
    await retried(async () => {
      key = await client.generateKey({ preset: PRESET, timeoutMs: 6_000 });
    });
    expect(await decrypts()).toBe('right');
    noLeak();
  });
});
