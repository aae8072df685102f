import { beforeEach, describe, expect, it } from 'vitest';
import { type Build, Configurations } from '../../../enclave/configurations.ts';
import { nodePrimitives } from '../../../enclave/primitives.ts';
import type { Changes, SealedStore } from '../../../enclave/store/sealed-store.ts';
import { KmsError } from '../../../shared/errors.ts';

import { type Digest, digest } from '../../../shared/ids.ts';
import { ConfigurationChain } from '../../../shared/network/chain.ts';
import type { ChainHead } from '../../../shared/network/chain-head.ts';
import { encodeGenesis, type Genesis } from '../../../shared/network/genesis.ts';
import {
  encodeSignedConfiguration,
  type SignedConfiguration,
} from '../../../shared/network/signed-configuration.ts';
import {
  founding,
  measurement,
  mockGenesis,
  operators,
  signedBy,
  successor,
} from '../../simulator/network.ts';

const signers = operators(4);
const members = [1, 2, 3, 4].map((i) => ({
  identity: new Uint8Array(32).fill(i),
  address: `10.0.0.${i}:70`,
}));
const mock: Build = { class: 'mock', attestationRoot: digest('ab'.repeat(32)) };

/** Records in memory; fails when told to. */
class MemoryStore implements SealedStore {
  readonly records = new Map<string, Uint8Array>();
  isBroken = false;

  async get(name: string): Promise<Uint8Array | undefined> {
    return this.records.get(name)?.slice();
  }

  async put(name: string, bytes: Uint8Array): Promise<void> {
    if (this.isBroken) throw new KmsError('STORE_FAILED', 'no space');
    this.records.set(name, bytes.slice());
  }

  async delete(name: string): Promise<void> {
    this.records.delete(name);
  }

  async change(changes: Changes): Promise<void> {
    for (const [name, bytes] of changes) {
      if (bytes === undefined) await this.delete(name);
      else await this.put(name, bytes);
    }
  }

  async list(): Promise<readonly string[]> {
    return [...this.records.keys()];
  }
}

let store: MemoryStore;
let block: number;
const head: ChainHead = { block: () => block, now: async () => block };
const GATEWAY = {
  chainId: 31337n,
  registry: new Uint8Array(20).fill(7),
  registryCodeHash: digest('33'.repeat(32)),
  finality: { kind: 'finalized' },
} as const;
const RPC = { k: 1, endpoints: [{ url: 'https://a.example/', spkiPins: [digest('11'.repeat(32))] }] };

beforeEach(() => {
  store = new MemoryStore();
  block = 1000;
});

async function open(build = mock, seesChain = true): Promise<Configurations> {
  const configurations = new Configurations({
    crypto: nodePrimitives,
    build,
    head: seesChain ? head : undefined,
  });
  await configurations.attach(store);
  return configurations;
}

function network(change: Partial<Genesis> = {}): ConfigurationChain {
  const genesis = mockGenesis(signers, change);
  return ConfigurationChain.of(nodePrimitives, genesis, [signedBy(signers, founding(genesis, members))]);
}

const all = (chain: ConfigurationChain): readonly Uint8Array[] =>
  chain.links.map(({ signed }) => encodeSignedConfiguration(signed));
const sign = (configuration: SignedConfiguration['configuration']) =>
  signedBy(signers.slice(1), configuration, {
    keys: signers.map(({ publicKey }) => publicKey),
    quorum: 3,
  });

describe('configurations of a node', () => {
  const chain = network();
  const genesis = encodeGenesis(chain.genesis);
  const next = chain.extend(sign(successor(chain, { activationBlock: 1050, overlapUntilBlock: 1060 })));
  const rival = sign(successor(chain, { activationBlock: 1051, overlapUntilBlock: 1060 }));

  it('configurations: the first genesis stays, over restarts; the same again is fine', async () => {
    const configurations = await open();
    expect(configurations.valid()).toEqual([]);
    await configurations.join(genesis, all(chain));
    await configurations.join(genesis, all(chain));
    const other = network({ name: 'another' });
    for (const each of [configurations, await open()]) {
      expect(each.chain?.networkId).toBe(chain.networkId);
      await expect(each.join(encodeGenesis(other.genesis), all(other))).rejects.toMatchObject({
        code: 'BAD_GENESIS',
      });
      expect(each.chain?.networkId).toBe(chain.networkId);
    }
  });

  it('configurations: a genesis alone is no network, and what is looked at is not kept', async () => {
    const configurations = await open();
    expect(() => configurations.preview(genesis, [])).toThrow(
      expect.objectContaining({ code: 'BAD_CONFIGURATION' }),
    );
    const { networkId, links } = configurations.preview(genesis, all(next));
    expect([networkId, links.length]).toEqual([chain.networkId, 2]);
    const altered = all(chain)[0]!.with(-1, all(chain)[0]!.at(-1)! ^ 1);
    expect(() => configurations.preview(genesis, [altered])).toThrow();
    expect(configurations.chain).toBeUndefined();
    expect(store.records.size).toBe(0);
  });

  it('configurations: without a place to keep them none is joined', async () => {
    const configurations = new Configurations({ crypto: nodePrimitives, build: mock, head });
    await expect(configurations.join(genesis, all(chain))).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(configurations.chain).toBeUndefined();
  });

  it('configurations: what was accepted before is never forgotten for an older chain', async () => {
    await (await open()).join(genesis, all(next));
    const again = await open();
    expect((await again.join(genesis, all(chain))).links).toHaveLength(2);
    expect(again.chain?.links).toHaveLength(2);
  });

  it.each(['production', 'lab', 'mock'] as const)(
    'configurations: a %s build joins its own class',
    async (own) => {
      for (const of of ['production', 'lab', 'mock'] as const) {
        store = new MemoryStore();
        const asked = network({ class: of });
        const joining = (await open({ ...mock, class: own })).join(encodeGenesis(asked.genesis), all(asked));
        if (of === own) expect((await joining).links).toHaveLength(1);
        else await expect(joining).rejects.toMatchObject({ code: 'BAD_GENESIS' });
      }
    },
  );

  it('configurations: genesis never supplies a root: another one than the build pins is refused', async () => {
    const configurations = await open({ ...mock, attestationRoot: digest('cd'.repeat(32)) });
    await expect(configurations.join(genesis, all(chain))).rejects.toMatchObject({ code: 'BAD_GENESIS' });
  });

  it('configurations: later ones extend the chain and act in their windows', async () => {
    const configurations = await open();
    await configurations.join(genesis, all(chain));
    await configurations.join(genesis, all(next).slice(1));
    const numbers = () => configurations.valid().map(({ number }) => number);
    expect(numbers()).toEqual([0]);
    block = 1050;
    expect(numbers()).toEqual([0, 1]);
    block = 1061;
    expect(numbers()).toEqual([1]);
  });

  it('configurations: a whole chain joins at once', async () => {
    expect((await (await open()).join(genesis, all(next))).links).toHaveLength(2);
  });

  it('configurations: nothing is used that is not durable', async () => {
    const configurations = await open();
    store.isBroken = true;
    await expect(configurations.join(genesis, all(chain))).rejects.toMatchObject({ code: 'STORE_FAILED' });
    expect(configurations.chain).toBeUndefined();
    store.isBroken = false;
    await configurations.join(genesis, all(chain));
    store.isBroken = true;
    await expect(configurations.join(genesis, all(next))).rejects.toMatchObject({ code: 'STORE_FAILED' });
    expect(configurations.chain?.links).toHaveLength(1);
    expect((await open()).chain?.links).toHaveLength(1);
  });

  it('configurations: the next but one is not taken before the window of the next has closed', async () => {
    const further = next.extend(sign(successor(next, { activationBlock: 1100, overlapUntilBlock: 1100 })));
    const configurations = await open();
    block = 1060;
    await expect(configurations.join(genesis, all(further))).rejects.toMatchObject({
      code: 'BAD_CONFIGURATION',
    });
    expect(configurations.chain).toBeUndefined();
    block = 1061;
    expect((await configurations.join(genesis, all(further))).links).toHaveLength(3);
  });

  it('configurations: without a chain to ask there is configuration 0 and no other', async () => {
    const configurations = await open(mock, false);
    await configurations.join(genesis, all(chain));
    await expect(configurations.join(genesis, all(next))).rejects.toMatchObject({
      code: 'BAD_CONFIGURATION',
    });
    expect(configurations.valid().map(({ number }) => number)).toEqual([0]);
    expect(configurations.measurements()).toEqual([measurement(10)]);
  });

  it('configurations: the delay of a measurement begins when this node hears of it, and survives restarts', async () => {
    const both = [measurement(10), measurement(20)];
    const backdated = chain.extend(
      sign(successor(chain, { activationBlock: 1, overlapUntilBlock: 1, measurements: both })),
    );
    const configurations = await open();
    await configurations.join(genesis, all(backdated));
    block = 1099;
    for (const each of [configurations, await open()]) expect(each.measurements()).toEqual([measurement(10)]);
    block = 1100;
    for (const each of [configurations, await open()]) expect(each.measurements()).toEqual(both);
  });

  it('configurations: a conflict is sealed and outlives the process', async () => {
    const configurations = await open();
    await configurations.join(genesis, all(next));
    const split = await configurations.join(genesis, [encodeSignedConfiguration(rival)]);
    expect(split.conflict).toEqual(rival);
    const again = await open();
    expect(again.chain?.conflict).toEqual(rival);
    await expect(again.join(genesis, all(next))).rejects.toMatchObject({ code: 'CONFLICT' });
  });

  it('configurations: who is first given both sides of a conflict does not join', async () => {
    const configurations = await open();
    const both = [...all(next), encodeSignedConfiguration(rival)];
    await expect(configurations.join(genesis, both)).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(store.records.size).toBe(0);
  });

  it('configurations: the record of another build is not opened', async () => {
    await (await open()).join(genesis, all(chain));
    await expect(open({ ...mock, class: 'lab' })).rejects.toMatchObject({ code: 'BAD_GENESIS' });
  });

  it('configurations: with a gateway its chain decides, and a new one needs the block now', async () => {
    const there = network({ gateway: GATEWAY, rpc: RPC });
    const one = sign(successor(there, { activationBlock: 50, overlapUntilBlock: 60 }));
    const two = sign(successor(there.extend(one), { activationBlock: 70, overlapUntilBlock: 80 }));
    const of = encodeGenesis(there.genesis);
    const give = (...some: readonly SignedConfiguration[]) => [
      ...all(there),
      ...some.map(encodeSignedConfiguration),
    ];
    const digestsOf = (chain: ConfigurationChain, ...some: readonly SignedConfiguration[]) =>
      some.reduce((so, next) => so.extend(next), chain).links.map(({ digest }) => digest);
    // What other networks go by is not asked.
    const blind = await open();
    await blind.join(of, all(there));
    await expect(blind.join(of, give(one))).rejects.toMatchObject({ code: 'BAD_CONFIGURATION' });

    let now: () => Promise<number> = () => Promise.reject(new KmsError('STALE_HEAD', 'too old'));
    let known = 40;
    const configurations = await open();
    let published: (number: number) => Promise<Digest | undefined> = async (number) =>
      digestsOf(there, one, two)[number];
    configurations.follow({ block: () => known, now: () => now(), published: (number) => published(number) });
    await configurations.join(of, all(there));
    await expect(configurations.join(of, give(one))).rejects.toMatchObject({ code: 'STALE_HEAD' });
    now = async () => 45;
    // What operators have signed and not published, or published otherwise, counts for nothing.
    for (const [shown, refusal] of [
      [async () => undefined, 'BAD_CONFIGURATION'],
      [async () => there.newest.digest, 'CONFLICT'],
      [() => Promise.reject(new KmsError('UNAVAILABLE', 'nobody')), 'UNAVAILABLE'],
    ] as const) {
      published = shown;
      await expect(configurations.join(of, give(one))).rejects.toMatchObject({ code: refusal });
      expect([configurations.chain?.links.length, configurations.chain?.conflict]).toEqual([1, undefined]);
    }
    published = async (number) => digestsOf(there, one, two)[number];
    const longer = await configurations.join(of, give(one));
    expect(longer.newest.publishedBlock).toBe(45);
    // Known ones are no reason to ask.
    now = () => Promise.reject(new KmsError('UNAVAILABLE', 'nobody'));
    await configurations.join(of, give(one));
    expect(configurations.valid().map(({ number }) => number)).toEqual([0]);
    known = 55;
    expect(configurations.valid().map(({ number }) => number)).toEqual([0, 1]);
    // The window of the predecessor by the block now, not by the last one that was seen.
    now = async () => 60;
    known = 61;
    await expect(configurations.join(of, give(one, two))).rejects.toMatchObject({
      code: 'BAD_CONFIGURATION',
    });
    now = async () => 61;
    expect((await configurations.join(of, give(one, two))).newest.publishedBlock).toBe(61);

    // By keys that signed once: against what is published it does nothing; where nothing is, or something else, the node stops.
    const rivalOfOne = sign(successor(there, { activationBlock: 51, overlapUntilBlock: 60 }));
    const brought = [encodeSignedConfiguration(rivalOfOne)];
    await expect(configurations.join(of, brought)).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(configurations.chain?.conflict).toBeUndefined();
    published = () => Promise.reject(new KmsError('UNAVAILABLE', 'nobody'));
    await expect(configurations.join(of, brought)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(configurations.chain?.conflict).toBeUndefined();
    published = async (number) => digestsOf(there, rivalOfOne)[number];
    expect((await configurations.join(of, brought)).conflict).toEqual(rivalOfOne);
  });
});
