import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UnixLink } from '../../../enclave/link/unix.ts';
import type { Node } from '../../../enclave/node.ts';
import { nodePrimitives, systemRng } from '../../../enclave/primitives.ts';
import { mockChainHead, ROOTS } from '../../../shared/attestation/roots/mock.ts';
import { digest, keyId, partyId } from '../../../shared/ids.ts';
import { silent } from '../../../shared/log.ts';
import { Kernel } from '../../../shared/math/kernel/kernel.ts';
import { ConfigurationChain } from '../../../shared/network/chain.ts';
import { encodeGenesis } from '../../../shared/network/genesis.ts';
import {
  encodeSignedConfiguration,
  type SignedConfiguration,
} from '../../../shared/network/signed-configuration.ts';
import { openDirectNode } from '../../direct/node.ts';
import type { DirectWork } from '../../direct/work.ts';
import { mockNsm } from '../../simulator/attested.ts';
import { MemoryCloud } from '../../simulator/memory-cloud.ts';
import { founding, mockGenesis, operators, signedBy, successor } from '../../simulator/network.ts';

const signers = operators(4);
const genesis = mockGenesis(signers);
const kernel = await Kernel.load();
let directory: string;
let node: Node;
let direct: DirectWork;
let cloud: MemoryCloud;

async function open(): Promise<void> {
  ({ node, direct } = await openDirectNode({
    build: { class: 'mock', attestationRoot: genesis.attestationRoot },
    roots: ROOTS,
    head: mockChainHead(Date.now),
    nsm: mockNsm(),
    openCloud: async () => cloud,
    openSuccessor: () => Promise.reject(new Error('not part of this test')),
    link: new UnixLink(directory),
    primitives: nodePrimitives,
    rng: systemRng,
    kernel,
    nowMs: () => Date.now(),
    log: silent,
    roundMs: 100,
    openingMs: 1000,
  }));
}

/** A network of this node and three that do not exist. */
async function network(): Promise<ConfigurationChain> {
  const { identity, bootKey } = await node.describe();
  const members = [identity, ...[2, 3, 4].map((i) => new Uint8Array(32).fill(i))];
  const zero = founding(
    genesis,
    members.map((one, i) => ({
      identity: one,
      address: `127.0.0.1:${i + 1}`,
      ...(i === 0 ? { bootKey } : {}),
    })),
  );
  return ConfigurationChain.of(nodePrimitives, genesis, [signedBy(signers, zero)]);
}

const give = (...configurations: SignedConfiguration[]) =>
  node.join({
    genesis: encodeGenesis(genesis),
    configurations: configurations.map(encodeSignedConfiguration),
  });
const signal = new AbortController().signal;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kms-node-'));
  cloud = new MemoryCloud();
  await open();
});

afterEach(async () => {
  await node.close();
  await rm(directory, { recursive: true });
});

describe('node and its configurations', () => {
  it('node: unjoined, then a member of one network', async () => {
    expect(await node.describe()).toMatchObject({ phase: 'unjoined', network: undefined });
    await expect(node.listKeys()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    const chain = await network();
    const own = {
      id: chain.networkId,
      party: 1,
      epoch: 0,
      configuration: { number: 0, digest: chain.newest.digest },
    };
    expect(await give(chain.newest.signed)).toEqual(own);
    expect(await node.describe()).toMatchObject({ phase: 'founding', network: own });
    // Its peers do not exist, so nobody keeps anything for it.
    await expect(node.listKeys()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('node: a founding that is interrupted is over: the identity was in that process alone', async () => {
    const chain = await network();
    await give(chain.newest.signed);
    await node.close();
    await open();
    await expect(give(chain.newest.signed)).rejects.toMatchObject({ code: 'BAD_CONFIGURATION' });
    const again = {
      genesis: encodeGenesis(genesis),
      configurations: [encodeSignedConfiguration(chain.newest.signed)],
    };
    await node.join({ ...again, party: partyId(1) });
    await expect
      .poll(() => node.describe())
      .toMatchObject({ phase: 'recover', reason: expect.stringContaining('interrupted') });
  });

  it('node: a configuration with its identity and another boot key is not joined', async () => {
    const chain = await network();
    const [own, ...others] = chain.newest.signed.configuration.members;
    const foreign = signedBy(
      signers,
      founding(genesis, [{ ...own!, bootKey: new Uint8Array(32).fill(9) }, ...others]),
    );
    await expect(give(foreign)).rejects.toMatchObject({ code: 'BAD_CONFIGURATION' });
    expect((await node.describe()).phase).toBe('unjoined');
    expect(cloud.objects.objects.size).toBe(0);
    // Nor as the party that the parent says it is: nothing of that party is here.
    const configurations = [encodeSignedConfiguration(chain.newest.signed)];
    const asked = { genesis: encodeGenesis(genesis), configurations, party: partyId(2) };
    await give(chain.newest.signed);
    await node.close();
    await open();
    cloud = new MemoryCloud();
    await expect(node.join(asked)).rejects.toMatchObject({ code: 'STORE_FAILED' });
  });

  it('node: a bucket that holds a state already is not founded in again', async () => {
    const chain = await network();
    await give(chain.newest.signed);
    const before = new Map(cloud.objects.objects);
    await node.close();
    await open();
    await expect(give((await network()).newest.signed)).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(cloud.objects.objects).toEqual(before);
  });

  it('node: two callers with two networks at once: one is joined', async () => {
    const chain = await network();
    const other = mockGenesis(signers, { name: 'another' });
    const { members } = chain.newest.signed.configuration;
    const foreign = signedBy(signers, founding(other, members));
    const joined = await Promise.allSettled([
      give(chain.newest.signed),
      node.join({ genesis: encodeGenesis(other), configurations: [encodeSignedConfiguration(foreign)] }),
    ]);
    expect(joined.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect((await node.describe()).network?.id).toBe(chain.networkId);
  });

  it('node: takes later configurations while it works', async () => {
    const chain = await network();
    await give(chain.newest.signed);
    const block = mockChainHead(() => Date.now()).block();
    const next = chain.extend(
      signedBy(signers, successor(chain, { activationBlock: block + 5, overlapUntilBlock: block + 9 })),
    );
    expect(await give(next.newest.signed)).toMatchObject({
      configuration: { number: 1, digest: next.newest.digest },
    });
    expect((await node.describe()).phase).toBe('founding');
  });

  it('node: a conflict stops it: it describes itself and does nothing else', async () => {
    const chain = await network();
    await give(chain.newest.signed);
    const [one, rival] = [10, 11].map((activationBlock) =>
      signedBy(signers, successor(chain, { activationBlock, overlapUntilBlock: 20 })),
    );
    await give(one!);
    await expect(give(rival!)).rejects.toMatchObject({ code: 'CONFLICT' });
    const conflict = { code: 'CONFLICT' };
    const [requestId, envelope] = [new Uint8Array(32), new Uint8Array(1)];
    expect(await node.describe()).toMatchObject({ phase: 'stopped', connectedPeers: [] });
    await expect(node.listKeys()).rejects.toMatchObject(conflict);
    await expect(node.getKey(keyId('11'.repeat(32)))).rejects.toMatchObject(conflict);
    await expect(direct.decrypt(envelope, signal)).rejects.toMatchObject(conflict);
    await expect(direct.userDecrypt(requestId, envelope, new Uint8Array(1216))).rejects.toMatchObject(
      conflict,
    );
    await expect(direct.generateKey(requestId, 'test-4096', signal)).rejects.toMatchObject(conflict);
    await expect(give(one!)).rejects.toMatchObject(conflict);
  });

  it('node: a network of another root or class is refused, and the node stays unjoined', async () => {
    const { members } = (await network()).newest.signed.configuration;
    for (const change of [{ class: 'lab' as const }, { attestationRoot: digest('cd'.repeat(32)) }]) {
      const other = mockGenesis(signers, change);
      const signed = encodeSignedConfiguration(signedBy(signers, founding(other, members)));
      const asked = { genesis: encodeGenesis(other), configurations: [signed] };
      await expect(node.join(asked)).rejects.toMatchObject({ code: 'BAD_GENESIS' });
    }
    expect((await node.describe()).phase).toBe('unjoined');
  });
});
