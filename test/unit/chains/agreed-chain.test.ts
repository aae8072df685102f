import { beforeEach, describe, expect, it } from 'vitest';
import { AgreedChain, type AgreedChainOptions } from '../../../enclave/chains/agreed-chain.ts';
import { HeadFloor } from '../../../enclave/chains/head-floor.ts';
import { KmsError } from '../../../shared/errors.ts';
import { digest } from '../../../shared/ids.ts';
import type { Finality } from '../../../shared/network/chain-access.ts';
import { BLOCK_S, blockAt, CHAIN_ID, FakeEndpoint, type Fault, START_S } from '../../simulator/fake-chain.ts';
import { MemoryStore } from '../../simulator/memory-store.ts';

const MAX_AGE_S = 120;
let endpoints: readonly FakeEndpoint[];
let store: MemoryStore;
/** Enclave time: by default that of block 100. */
let nowS: bigint;

beforeEach(() => {
  endpoints = [100n, 100n, 100n].map((height) => new FakeEndpoint(height));
  store = new MemoryStore();
  nowS = START_S + 100n * BLOCK_S;
});

async function open(change: Partial<AgreedChainOptions> = {}, finality: Finality = { kind: 'finalized' }) {
  return new AgreedChain({
    chainId: CHAIN_ID,
    rules: () => ({ finality, maxHeadAgeS: MAX_AGE_S }),
    rpc: () => ({ k: 2, endpoints }),
    floor: await HeadFloor.open(store, CHAIN_ID),
    nowMs: () => Number(nowS) * 1000,
    requestMs: 100,
    ...change,
  });
}

const heights = (...all: readonly bigint[]): void => {
  for (const [i, height] of all.entries()) endpoints[i]!.height = height;
};
const code = (of: string) => expect.objectContaining({ code: of });

describe('agreed chain: the head', () => {
  it('agreed chain: the final block that k endpoints name', async () => {
    const chain = await open();
    expect(chain.height).toBe(0n);
    expect(await chain.refresh()).toEqual(blockAt(100n));
    expect(chain.height).toBe(100n);
  });

  it('agreed chain: a head that was believed a while ago is asked for again, whoever holds newer blocks back', async () => {
    const chain = await open();
    const old = blockAt(100n);
    await chain.refresh();
    heights(104n, 104n, 104n);
    nowS += 10n;
    expect(await chain.current()).toEqual(old);
    expect(await chain.agreedBlock(old.hash)).toEqual(old);
    // 48 s of block time lie between them: a grant that was revoked since does not count any more.
    nowS += 1n;
    expect(await chain.agreedBlock(old.hash)).toBeUndefined();
    expect(await chain.current()).toEqual(blockAt(104n));
    // And nothing counts while nobody answers.
    nowS += 11n;
    for (const one of endpoints) one.fault = 'dead';
    await expect(chain.agreedBlock(blockAt(104n).hash)).rejects.toThrow(code('UNAVAILABLE'));
  });

  it('agreed chain: a finalized head is asked for, not the latest one', async () => {
    for (const one of endpoints) one.finalized = 96n;
    expect((await (await open()).refresh()).number).toBe(96n);
  });

  it('agreed chain: a depth counts back from the latest block', async () => {
    for (const one of endpoints) one.finalized = 7n;
    expect(await (await open({}, { kind: 'depth', blocks: 5 })).refresh()).toEqual(blockAt(95n));
    heights(3n, 3n, 3n);
    const young = await open(
      { floor: await HeadFloor.open(new MemoryStore(), CHAIN_ID) },
      { kind: 'depth', blocks: 5 },
    );
    await expect(young.refresh()).rejects.toThrow(code('UNAVAILABLE'));
  });

  it.each([
    [[100n, 101n, 101n], 101n],
    [[100n, 100n, 101n], 100n],
    [[99n, 100n, 101n], 100n],
  ])('agreed chain: endpoints at %s agree, on %s or the block before', async (given, highest) => {
    heights(...given);
    const { number } = await (await open()).refresh();
    expect([highest, highest - 1n]).toContain(number);
  });

  const faults: readonly Fault[] = ['dead', 'silent', 'other chain', 'false hash', 'false time'];
  for (const fault of faults) {
    for (const height of [0n, 60n, 99n, 100n, 101n, 10_000n]) {
      it(`agreed chain: one endpoint that is ${fault}, at block ${height}, changes nothing`, async () => {
        for (const liar of endpoints) {
          heights(100n, 100n, 100n);
          for (const one of endpoints) one.fault = 'none';
          liar.fault = fault;
          liar.height = height;
          expect(await (await open()).refresh()).toEqual(blockAt(100n));
        }
      });
    }
  }

  it('agreed chain: one endpoint that shows an old or a future head does not move it', async () => {
    const chain = await open();
    await chain.refresh();
    for (const height of [0n, 50n, 99n, 10_000n]) {
      endpoints[0]!.height = height;
      expect(await chain.refresh()).toEqual(blockAt(100n));
    }
  });

  it('agreed chain: fewer than k that agree are nobody', async () => {
    const chain = await open();
    endpoints[0]!.fault = 'false hash';
    endpoints[1]!.fault = 'dead';
    await expect(chain.refresh()).rejects.toThrow(code('UNAVAILABLE'));
    endpoints[1]!.fault = 'none';
    endpoints[1]!.branch = 'rival';
    await expect(chain.refresh()).rejects.toThrow(code('UNAVAILABLE'));
    expect(chain.height).toBe(0n);
  });

  it('agreed chain: k endpoints of another chain are not of this one', async () => {
    for (const one of endpoints) one.fault = 'other chain';
    await expect((await open()).refresh()).rejects.toThrow(code('UNAVAILABLE'));
  });

  it('agreed chain: a head that is too old is refused, and is none before it is durable', async () => {
    const chain = await open();
    nowS += BigInt(MAX_AGE_S);
    expect((await chain.refresh()).number).toBe(100n);
    nowS += 1n;
    await expect(chain.refresh()).rejects.toThrow(code('STALE_HEAD'));
    await expect(chain.current()).rejects.toThrow(code('STALE_HEAD'));
    heights(101n, 101n, 101n);
    expect((await chain.current()).number).toBe(101n);

    store.put = () => Promise.reject(new KmsError('STORE_FAILED', 'no space'));
    heights(102n, 102n, 102n);
    await expect(chain.refresh()).rejects.toThrow(code('STORE_FAILED'));
    expect(chain.height).toBe(101n);
  });

  it('agreed chain: endpoints that go back are refused, also after a restart', async () => {
    await (await open()).refresh();
    heights(99n, 99n, 99n);
    const again = await open();
    expect(again.height).toBe(100n);
    await expect(again.refresh()).rejects.toThrow(code('STALE_HEAD'));
    await expect(again.current()).rejects.toThrow(code('STALE_HEAD'));
    heights(100n, 100n, 100n);
    expect((await again.refresh()).number).toBe(100n);
    heights(99n, 99n, 99n);
    await expect(again.refresh()).rejects.toThrow(code('STALE_HEAD'));
    expect(again.height).toBe(100n);
  });

  it('agreed chain: callers at once share one question', async () => {
    const chain = await open();
    const all = await Promise.all([chain.refresh(), chain.refresh(), chain.current()]);
    expect(new Set(all).size).toBe(1);
    expect(endpoints[0]!.asked).toBe(2);
  });

  it('agreed chain: an endpoint that has named the chain is asked for it a minute later, one that has not each time', async () => {
    const [wrong, right] = [endpoints[0]!, endpoints[1]!];
    wrong.fault = 'other chain';
    const chain = await open();
    for (let i = 0; i < 3; i++) await chain.refresh();
    expect([wrong.askedForChain, right.askedForChain]).toEqual([3, 1]);
    wrong.fault = 'none';
    endpoints[2]!.fault = 'dead';
    expect(await chain.refresh()).toEqual(blockAt(100n));
    nowS += 59n;
    right.fault = 'other chain';
    expect(await chain.refresh()).toEqual(blockAt(100n));
    nowS += 1n;
    await expect(chain.refresh()).rejects.toThrow(code('UNAVAILABLE'));
  });

  it('agreed chain: nobody hangs up on an endpoint that is a little slower than the others', async () => {
    const [slow, silent] = [endpoints[1]!, endpoints[2]!];
    slow.fault = 'slow';
    const chain = await open({ requestMs: 10_000 });
    for (let i = 0; i < 5; i++) await chain.refresh();
    // Which chain it is of, once or oftener, and five times the newest block.
    await expect.poll(() => slow.asked - slow.askedForChain).toBe(5);
    silent.fault = 'silent';
    await chain.refresh();
    await expect.poll(() => silent.hungUp).toBe(1);
    expect(slow.hungUp).toBe(0);
  });
});

describe('agreed chain: blocks that a parent brings', () => {
  const isAgreed = async (chain: AgreedChain, number: bigint, branch?: string): Promise<boolean> =>
    (await chain.agreedBlock(blockAt(number, branch).hash)) !== undefined;

  it('agreed chain: the head, and what lies a little behind it', async () => {
    const chain = await open();
    expect(await chain.agreedBlock(blockAt(100n).hash)).toEqual(blockAt(100n));
    expect(await isAgreed(chain, 98n)).toBe(true);
    // 36 seconds behind.
    expect(await isAgreed(chain, 97n)).toBe(false);
  });

  it('agreed chain: a block above what was the head is looked for, and one above the head is not agreed', async () => {
    const chain = await open();
    await chain.refresh();
    heights(102n, 102n, 102n);
    const before = endpoints[0]!.asked;
    // All at once, and with one look at the head for each round of them: it is the newest block.
    const asked = Array.from({ length: 20 }, () => isAgreed(chain, 102n));
    expect(new Set(await Promise.all(asked))).toEqual(new Set([true]));
    expect(endpoints[0]!.asked - before).toBe(1);
    for (const one of endpoints) one.latest = 105n;
    expect(await isAgreed(chain, 104n)).toBe(false);
  });

  it('agreed chain: while no newer head is agreed the kept one counts for its ten seconds', async () => {
    const chain = await open();
    await chain.refresh();
    // One endpoint lags by a block, another one has fallen silent: nothing is agreed above the floor now.
    endpoints[2]!.height = 99n;
    endpoints[1]!.fault = 'silent';
    await expect(chain.refresh()).rejects.toThrow(code('STALE_HEAD'));
    expect(await isAgreed(chain, 99n)).toBe(true);
    expect(await isAgreed(chain, 101n)).toBe(false);
    // Nor does it when they are over only after the endpoints were waited for.
    const waiting = isAgreed(chain, 98n);
    nowS += 11n;
    await expect(waiting).rejects.toThrow(code('STALE_HEAD'));
    await expect(isAgreed(chain, 99n)).rejects.toThrow(code('STALE_HEAD'));
  });

  it('agreed chain: below the floor of an earlier life nothing is agreed', async () => {
    await (await open()).refresh();
    const chain = await open();
    expect(await isAgreed(chain, 100n)).toBe(true);
    expect(await isAgreed(chain, 99n)).toBe(false);
  });

  it('agreed chain: one endpoint alone vouches for no block, one of three against it does no harm', async () => {
    const chain = await open();
    endpoints[0]!.branch = 'rival';
    expect(await isAgreed(chain, 100n, 'rival')).toBe(false);
    expect(await isAgreed(chain, 100n)).toBe(true);
    expect(await chain.agreedBlock(digest('00'.repeat(32)))).toBeUndefined();
  });

  it('agreed chain: a block that endpoints know and their chain has dropped is not agreed', async () => {
    const chain = await open();
    for (const one of endpoints) one.orphans.push(blockAt(99n, 'rival', 99n));
    expect(await isAgreed(chain, 99n, 'rival')).toBe(false);
  });

  it('agreed chain: without a recent head no block is agreed', async () => {
    const chain = await open();
    await chain.refresh();
    expect(await isAgreed(chain, 99n)).toBe(true);
    nowS += BigInt(MAX_AGE_S) + 1n;
    await expect(chain.agreedBlock(blockAt(99n).hash)).rejects.toThrow(code('STALE_HEAD'));
    nowS -= 6n;
    // The head is 115 seconds old, its predecessor 127.
    expect(await isAgreed(chain, 100n)).toBe(true);
    expect(await isAgreed(chain, 99n)).toBe(false);
  });

  it('agreed chain: what a reorganisation replaced is not remembered', async () => {
    const chain = await open();
    expect(await isAgreed(chain, 99n)).toBe(true);
    for (const one of endpoints) {
      one.branch = 'rival';
      one.branchFrom = 99n;
      one.height = 101n;
    }
    await chain.refresh();
    expect(await isAgreed(chain, 99n)).toBe(false);
    expect(await chain.agreedBlock(blockAt(99n, 'rival', 99n).hash)).toBeDefined();
  });
});
