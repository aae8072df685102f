import { keccak_256 } from '@noble/hashes/sha3.js';
import { beforeEach, describe, expect, it } from 'vitest';
import { AgreedChain } from '../../../enclave/chains/agreed-chain.ts';
import type { Block } from '../../../enclave/chains/block.ts';
import { ChainAnchor } from '../../../enclave/chains/chain-anchor.ts';
import type { ChainEndpoint, SlotsOf } from '../../../enclave/chains/endpoint.ts';
import { GatewayRegistry } from '../../../enclave/chains/gateway-registry.ts';
import { HeadFloor } from '../../../enclave/chains/head-floor.ts';
import { KmsError } from '../../../shared/errors.ts';
import { anchorCommitment, nodeAnchor } from '../../../shared/gateway/node-anchor.ts';
import {
  anchorSlot,
  anchorVersionSlot,
  configurationSlot,
  plainSlot,
  slotNumbers,
} from '../../../shared/gateway/slots.ts';
import { numberOf } from '../../../shared/gateway/word.ts';
import { digest, epochId } from '../../../shared/ids.ts';
import { toHex, utf8 } from '../../../shared/wire/bytes.ts';
import { blockOf } from '../../oracle/chain-state.ts';
import { MemoryStore } from '../../simulator/memory-store.ts';

const CHAIN_ID = 31337n;
const NOW_S = 1_900_000_000n;
const EPOCH = 2;
const NO_EPOCH = (1n << 64n) - 1n;
const registry = keccak_256(utf8('registry')).subarray(12);
const code = keccak_256(utf8('code'));
const [identity, stranger] = [keccak_256(utf8('identity')), keccak_256(utf8('stranger'))];
const state = digest('ab'.repeat(32));
const other = digest('cd'.repeat(32));

interface World {
  readonly published?: string;
  readonly of?: Uint8Array;
  readonly version?: number;
  readonly epoch?: bigint;
  readonly codeHash?: Uint8Array;
  readonly number?: bigint;
}

/** A chain whose registry remembers one node, or nobody. */
function chainWith({
  of = identity,
  version = 0,
  epoch = 2n,
  codeHash = code,
  number = 7n,
  published,
}: World) {
  const words = new Map([[toHex(plainSlot(slotNumbers.Registry.currentEpoch)), epoch]]);
  if (version > 0) {
    words.set(toHex(anchorVersionSlot(of)), BigInt(version));
    words.set(toHex(anchorSlot(of)), numberOf(anchorCommitment(nodeAnchor(of, { version, digest: state }))));
  }
  if (published !== undefined) words.set(toHex(configurationSlot(3n)), BigInt(`0x${published}`));
  return blockOf(number, NOW_S, [{ address: registry, codeHash, storage: words }]);
}

type Chain = ReturnType<typeof chainWith>;

/** An endpoint of one block; what it shows may be of another one. */
class StateEndpoint implements ChainEndpoint {
  asked = 0;
  readonly #block: Chain;
  shown: Chain;

  constructor(block: Chain) {
    [this.#block, this.shown] = [block, block];
  }

  async chainId(): Promise<bigint> {
    return CHAIN_ID;
  }

  async blockByNumber(): Promise<Block> {
    const hash = digest(toHex(this.#block.hash));
    return { number: 7n, hash, parentHash: digest('00'.repeat(32)), timestampS: NOW_S };
  }

  blockByHash(): Promise<Block> {
    return this.blockByNumber();
  }

  async header(): Promise<Uint8Array> {
    this.asked += 1;
    return this.shown.header;
  }

  async proof({ address, slots }: SlotsOf): Promise<readonly Uint8Array[]> {
    return this.shown.prove(address, slots).nodes;
  }
}

let endpoints: readonly StateEndpoint[];
let nowS: bigint;

function on(world: World): void {
  endpoints = [1, 2, 3].map(() => new StateEndpoint(chainWith(world)));
}

beforeEach(() => {
  nowS = NOW_S;
  on({ version: 5 });
});

async function known(): Promise<GatewayRegistry> {
  const chain = new AgreedChain({
    chainId: CHAIN_ID,
    rules: () => ({ finality: { kind: 'finalized' }, maxHeadAgeS: 120 }),
    rpc: () => ({ k: 2, endpoints }),
    floor: await HeadFloor.open(new MemoryStore(), CHAIN_ID),
    nowMs: () => Number(nowS) * 1000,
    requestMs: 200,
  });
  const gateway = {
    chainId: CHAIN_ID,
    registry,
    registryCodeHash: digest(toHex(code)),
    finality: { kind: 'finalized' } as const,
  };
  return new GatewayRegistry(chain, gateway);
}

const newest = async () =>
  new ChainAnchor({ registry: await known(), identity, epoch: epochId(EPOCH) }).newest();
const refusedWith = (of: string) => expect.objectContaining({ code: of });

describe('chain anchor', () => {
  it('chain anchor: the version and the state that the registry remembers of this node', async () => {
    const anchored = await newest();
    expect(anchored).toMatchObject({ version: 5, isEarly: false });
    expect([anchored.is(state), anchored.is(other)]).toEqual([true, false]);
  });

  it('chain anchor: a node of which nothing is anchored, and another one of which something is', async () => {
    on({});
    const nothing = await newest();
    expect([nothing.version, nothing.is(state)]).toEqual([0, false]);
    on({ of: stranger, version: 5 });
    expect((await newest()).version).toBe(0);
  });

  it.each([
    [NO_EPOCH, true],
    [0n, true],
    [1n, true],
    [2n, false],
    [3n, false],
  ])('chain anchor: while epoch %s is active a node of epoch 2 is early: %s', async (epoch, isEarly) => {
    on({ version: 5, epoch });
    expect((await newest()).isEarly).toBe(isEarly);
  });

  it('chain anchor: another contract than that of genesis proves nothing', async () => {
    on({ version: 5, codeHash: keccak_256(utf8('other code')) });
    await expect(newest()).rejects.toThrow(refusedWith('NOT_PROVEN'));
  });

  it('chain anchor: one endpoint that proves it is enough, whatever the others show', async () => {
    for (const one of endpoints.slice(0, 2)) one.shown = chainWith({ version: 1 });
    expect((await newest()).version).toBe(5);
  });

  it('chain anchor: what all show of another block is nothing', async () => {
    for (const one of endpoints) one.shown = chainWith({ version: 1 });
    await expect(newest()).rejects.toThrow(refusedWith('UNAVAILABLE'));
  });

  it('chain anchor: a true header with the nodes of another state is nothing', async () => {
    const old = chainWith({ version: 1 });
    for (const one of endpoints) one.proof = async ({ address, slots }) => old.prove(address, slots).nodes;
    await expect(newest()).rejects.toThrow(refusedWith('UNAVAILABLE'));
  });

  it('chain anchor: nodes by the thousand are not even hashed', async () => {
    const many = Array.from({ length: 300 }, (_, i) => Uint8Array.of(i >> 8, i));
    for (const one of endpoints) {
      one.proof = async ({ address, slots }) => [
        ...chainWith({ version: 5 }).prove(address, slots).nodes,
        ...many,
      ];
    }
    await expect(newest()).rejects.toThrow(refusedWith('UNAVAILABLE'));
  });

  it('chain anchor: an endpoint that is silent is not waited for', async () => {
    endpoints[0]!.header = () => new Promise(() => {});
    endpoints[1]!.header = () => Promise.reject(new KmsError('TIMEOUT', 'gone'));
    expect((await newest()).version).toBe(5);
  });

  it('chain anchor: an old head says nothing about now', async () => {
    nowS += 121n;
    await expect(newest()).rejects.toThrow(refusedWith('STALE_HEAD'));
    expect(endpoints.map(({ asked }) => asked)).toEqual([0, 0, 0]);
  });
});

describe('gateway registry', () => {
  it('gateway registry: what is published under a number, and nothing where nothing is', async () => {
    on({ published: other });
    expect(await (await known()).configuration(3)).toBe(other);
    expect(await (await known()).configuration(2)).toBeUndefined();
    on({ published: other, codeHash: keccak_256(utf8('other code')) });
    await expect((await known()).configuration(3)).rejects.toThrow(refusedWith('NOT_PROVEN'));
  });
});
