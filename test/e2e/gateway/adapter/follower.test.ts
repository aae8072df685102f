import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CursorFile, type CursorStore } from '../../../../gateway/adapter/cursor.ts';
import { httpEndpoint } from '../../../../gateway/adapter/endpoint.ts';
import { Follower, type FollowerOptions, type Reorganisation } from '../../../../gateway/adapter/follower.ts';
import { BenchChain, troubled, wordOf } from './bench-chain.ts';

/** Following a real chain through outages, restarts and reorganisations. */

const QUICK = { firstMs: 5, longestMs: 20 };

let directory: string;
let chain: BenchChain;
let seen: number[];
let again: Reorganisation[];
let events: string[];
let stopAll: AbortController;
let cursorPath: string;
let nextWord = 1;
let startBlock: bigint;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kms-follower-'));
  chain = await BenchChain.start(901, join(directory, 'state.json'));
});

afterAll(async () => {
  await chain?.stop();
  await rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
});

beforeEach(async () => {
  [seen, again, events] = [[], [], []];
  stopAll = new AbortController();
  cursorPath = join(directory, `cursor-${nextWord}.json`);
  startBlock = (await chain.client().latest()).number + 1n;
});

afterEach(() => stopAll.abort());

const cursor = (): CursorFile => new CursorFile(cursorPath, 901n);
const words = (count: number): number[] => Array.from({ length: count }, () => nextWord++);

function options(changes: Partial<FollowerOptions> = {}): FollowerOptions {
  return {
    chain: chain.client(),
    filter: { addresses: [chain.once] },
    finality: { confirmations: 1 },
    startBlock,
    cursor: cursor(),
    handler: async ({ logs }) => {
      seen.push(...logs.map((log) => Number(log.topics[0])));
    },
    log: (_, event) => void events.push(event),
    onReorganisation: (what) => void again.push(what),
    pollMs: 5,
    backoff: QUICK,
    ...changes,
  };
}

/** Until it is stopped, or ends by itself. */
function follow(changes: Partial<FollowerOptions> = {}): {
  stop(): Promise<void>;
  ended: Promise<void>;
  follower: Follower;
} {
  const one = new AbortController();
  const follower = new Follower(options(changes));
  const ended = follower.run(AbortSignal.any([one.signal, stopAll.signal]));
  ended.catch(() => undefined);
  const stop = async (): Promise<void> => {
    one.abort();
    await ended;
  };
  return { stop, ended, follower };
}

const expectSeen = (expected: readonly number[]): Promise<void> =>
  expect.poll(() => seen, { timeout: 20_000, interval: 5 }).toEqual(expected);

describe('follower', () => {
  test('follower: delivers what was there and what comes, in order, once', async () => {
    const [a, b, c, d] = words(4);
    await chain.emit(a!, b!);
    await chain.mine(3);
    follow();
    await chain.emit(c!);
    await chain.emit(d!);
    await expectSeen([a!, b!, c!, d!]);
  });

  test('follower: a chain that announces its blocks is not polled for them', async () => {
    const [a, b] = words(2);
    const heads = await chain.heads(stopAll.signal);
    let asked = 0;
    const endpoint = troubled(httpEndpoint({ url: chain.url }), () => void asked++);
    const { follower } = follow({ chain: chain.client(endpoint), heads });
    await chain.emit(a!);
    await expectSeen([a!]);
    const top = (await chain.client().latest()).number;
    await expect.poll(() => follower.position?.number, { interval: 5 }).toBe(top);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const before = asked;
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(asked).toBe(before);
    await chain.emit(b!);
    await expectSeen([a!, b!]);
  });

  test('follower: blocks that are announced are delivered long before it would poll', async () => {
    const [a, b] = words(2);
    const heads = await chain.heads(stopAll.signal);
    follow({ heads, pollMs: 60_000 });
    await chain.emit(a!);
    await expectSeen([a!]);
    await chain.emit(b!);
    await expectSeen([a!, b!]);
  });

  test('follower: a block that is announced while the chain still answers about the one before is not missed', async () => {
    const [a] = words(1);
    const heads = await chain.heads(stopAll.signal);
    const inner = httpEndpoint({ url: chain.url });
    let asked = 0;
    const endpoint = troubled(inner, (method, params) => {
      if (method !== 'eth_getBlockByNumber' || params[0] !== 'latest' || asked++ > 0) return undefined;
      return (async () => {
        const answer = await inner.ask(method, params);
        const { count } = heads;
        await chain.emit(a!);
        await heads.changed(count, 20_000, stopAll.signal);
        return answer;
      })();
    });
    follow({ chain: chain.client(endpoint), heads, pollMs: 60_000 });
    await expectSeen([a!]);
  });

  test('follower: only blocks with enough confirmations are delivered', async () => {
    const [a] = words(1);
    await chain.emit(a!);
    const { follower } = follow({ finality: { confirmations: 3 } });
    await chain.mine();
    await expect.poll(() => follower.position?.number, { interval: 5 }).toBe(undefined);
    expect(seen).toEqual([]);
    await chain.mine();
    await expectSeen([a!]);
  });

  test('follower: a reorganisation within the confirmations is never seen', async () => {
    const [gone, stays] = words(2);
    await chain.mine(1);
    follow({ finality: { confirmations: 4 } });
    await chain.emit(gone!);
    await chain.mine();
    await chain.reorganise(2);
    await chain.emit(stays!);
    await chain.mine(5);
    await expectSeen([stays!]);
    expect(again).toEqual([]);
  });

  test('follower: a deeper one is reported with its range, which is delivered again', async () => {
    const [a, gone, new1, new2] = words(4);
    await chain.emit(a!);
    const fork = (await chain.client().latest()).number;
    const { stop } = follow();
    await chain.emit(gone!);
    await chain.mine(2);
    const top = (await chain.client().latest()).number;
    await expectSeen([a!, gone!]);
    await expect.poll(async () => (await cursor().load())[0]?.number, { interval: 5 }).toBe(top);
    await stop();
    await chain.reorganise(3);
    // `gone` was undone with its block: it may be taken once more.
    await chain.emit(new1!, gone!);
    follow();
    await chain.emit(new2!);
    await expectSeen([a!, gone!, new1!, gone!, new2!]);
    expect(again).toEqual([{ chainId: 901n, fromBlock: fork + 1n, toBlock: top }]);
    expect(events).toContain('chain-reorganised');
  });

  test('follower: a reorganised chain that is no longer than the old one is noticed too', async () => {
    const [a] = words(1);
    await chain.mine(2);
    follow();
    await chain.emit(a!);
    await expectSeen([a!]);
    await chain.reorganise(1);
    await expect.poll(() => again.length, { timeout: 20_000, interval: 5 }).toBe(1);
  });

  test('follower: a reorganisation while it was away is noticed, whatever its depth', async () => {
    const [a, b] = words(2);
    const before = startBlock - 1n;
    const { stop } = follow();
    await chain.emit(a!);
    await chain.mine(150);
    await expectSeen([a!]);
    const top = (await chain.client().latest()).number;
    await expect.poll(async () => (await cursor().load())[0]?.number, { timeout: 20_000 }).toBe(top);
    await stop();
    const depth = Number(top - before);
    await chain.reorganise(depth);
    await chain.emit(a!, b!);
    follow();
    await expectSeen([a!, a!, b!]);
    expect(again).toEqual([{ chainId: 901n, fromBlock: startBlock, toBlock: top }]);
  });

  test('follower: killed between handler and cursor, it delivers again and loses nothing', async () => {
    const [a, b] = words(2);
    const real = cursor();
    const dying: CursorStore = {
      load: () => real.load(),
      save: async () => {
        stopAll.abort();
        throw new Error('killed');
      },
    };
    await chain.emit(a!);
    const { ended } = follow({ cursor: dying });
    await ended;
    expect(seen).toEqual([a!]);
    stopAll = new AbortController();
    await chain.emit(b!);
    follow();
    await expectSeen([a!, a!, b!]);
  });

  test('follower: killed before its handler resolves, or failing, it delivers the block again', async () => {
    const [a, b] = words(2);
    await chain.emit(a!);
    let failures = 0;
    follow({
      handler: async ({ logs }) => {
        if (failures++ < 2) throw new Error('not now');
        seen.push(...logs.map((log) => Number(log.topics[0])));
      },
    });
    await chain.emit(b!);
    await expectSeen([a!, b!]);
    expect(events.filter((event) => event === 'block-not-handled')).toHaveLength(2);
  });

  test('follower: stopped cleanly, it goes on where it was', async () => {
    const [a, b] = words(2);
    await chain.emit(a!);
    const { stop, follower } = follow();
    await expectSeen([a!]);
    const top = (await chain.client().latest()).number;
    await expect.poll(() => follower.position?.number, { interval: 5 }).toBe(top);
    await stop();
    await chain.emit(b!);
    follow();
    await expectSeen([a!, b!]);
  });

  test('follower: a chain that is down, and comes back, is followed on', async () => {
    const [a, b] = words(2);
    await chain.emit(a!);
    follow();
    await expectSeen([a!]);
    await chain.stop();
    await expect.poll(() => events, { timeout: 20_000 }).toContain('chain-unavailable');
    await chain.restart();
    await chain.emit(b!);
    await expectSeen([a!, b!]);
    expect(again).toEqual([]);
  });

  test('follower: no more than two ranges are held while a handler is slow', async () => {
    const all = words(12);
    for (const word of all) await chain.emit(word);
    let highest = 0n;
    const endpoint = troubled(httpEndpoint({ url: chain.url }), (method, [name]) => {
      if (method === 'eth_getBlockByNumber' && String(name).startsWith('0x')) {
        highest = BigInt(String(name)) > highest ? BigInt(String(name)) : highest;
      }
      return undefined;
    });
    const gate = Promise.withResolvers<void>();
    follow({
      chain: chain.client(endpoint),
      maxRange: 2,
      handler: async ({ logs }) => {
        seen.push(...logs.map((log) => Number(log.topics[0])));
        await gate.promise;
      },
    });
    await expectSeen([all[0]!]);
    // Time enough for a follower that does not wait.
    await chain.mine();
    await expect.poll(() => highest, { interval: 5 }).toBe(startBlock + 3n);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(highest).toBe(startBlock + 3n);
    gate.resolve();
    await expectSeen(all);
  });

  test('follower: ranges that an endpoint refuses or cannot carry are split', async () => {
    const all = words(6);
    for (const word of all) await chain.emit(word);
    const asked: number[] = [];
    const endpoint = troubled(httpEndpoint({ url: chain.url, maxAnswerBytes: 3_000 }), (method, [filter]) => {
      if (method !== 'eth_getLogs') return undefined;
      const { fromBlock, toBlock } = filter as { readonly fromBlock?: string; readonly toBlock?: string };
      if (fromBlock === undefined || toBlock === undefined) return undefined;
      const blocks = Number(BigInt(toBlock) - BigInt(fromBlock)) + 1;
      asked.push(blocks);
      const refusal = { code: -32005, message: 'query returned more than 4 results', revertData: undefined };
      return blocks > 4 ? Promise.resolve({ refusal }) : undefined;
    });
    follow({ chain: chain.client(endpoint) });
    await expectSeen(all);
    expect(Math.max(...asked)).toBeGreaterThan(4);
  });

  test('follower: logs that an endpoint leaves out of a range are asked for by their block', async () => {
    const [a] = words(1);
    await chain.emit(a!);
    const endpoint = troubled(httpEndpoint({ url: chain.url }), (method, [filter]) => {
      const isRange = method === 'eth_getLogs' && 'fromBlock' in (filter as object);
      return isRange ? Promise.resolve({ result: [] }) : undefined;
    });
    follow({ chain: chain.client(endpoint) });
    await expectSeen([a!]);
  });

  test('follower: logs of another block than the chain has are never delivered', async () => {
    const [a] = words(1);
    await chain.emit(a!);
    let lies = 0;
    const inner = httpEndpoint({ url: chain.url });
    const endpoint = troubled(inner, (method, params) => {
      if (method !== 'eth_getLogs' || lies++ >= 3) return undefined;
      return inner.ask(method, params).then((answer) => {
        const logs = 'result' in answer ? (answer.result as readonly object[]) : [];
        return { result: logs.map((log) => ({ ...log, blockHash: wordOf(7), topics: [wordOf(999)] })) };
      });
    });
    follow({ chain: chain.client(endpoint) });
    await expectSeen([a!]);
    expect(events).toContain('chain-unavailable');
  });

  test('follower: an endpoint that lags behind is waited for', async () => {
    const [a, b] = words(2);
    await chain.emit(a!);
    const { stop } = follow();
    await expectSeen([a!]);
    await expect.poll(async () => (await cursor().load()).length, { interval: 5 }).toBeGreaterThan(0);
    await stop();
    const behind = (await chain.client().header(startBlock - 1n))!;
    let asked = 0;
    const inner = httpEndpoint({ url: chain.url });
    const endpoint = troubled(inner, (method, [name]) =>
      method === 'eth_getBlockByNumber' && name === 'latest' && asked++ < 3
        ? inner.ask(method, [`0x${behind.number.toString(16)}`, false])
        : undefined,
    );
    await chain.emit(b!);
    follow({ chain: chain.client(endpoint) });
    await expectSeen([a!, b!]);
    expect(again).toEqual([]);
  });

  test('follower: finalized blocks only, where a chain has them', async () => {
    const [a] = words(1);
    await chain.emit(a!);
    const inner = httpEndpoint({ url: chain.url });
    let finalized = startBlock - 1n;
    const endpoint = troubled(inner, (method, [name]) =>
      method === 'eth_getBlockByNumber' && name === 'finalized'
        ? inner.ask(method, [`0x${finalized.toString(16)}`, false])
        : undefined,
    );
    follow({ chain: chain.client(endpoint), finality: 'finalized' });
    await chain.mine(3);
    await expectSeen([]);
    finalized = startBlock;
    await expectSeen([a!]);
  });

  test("follower: another chain behind the URL, or another chain's cursor, ends it", async () => {
    const other = new CursorFile(cursorPath, 902n);
    await other.save([{ number: 1n, hash: wordOf(1) }]);
    await expect(follow().ended).rejects.toMatchObject({ code: 'BAD_INPUT' });
    const endpoint = troubled(httpEndpoint({ url: chain.url }), (method) =>
      method === 'eth_chainId' ? Promise.resolve({ result: '0x1' }) : undefined,
    );
    cursorPath += '.other';
    await expect(follow({ chain: chain.client(endpoint) }).ended).rejects.toMatchObject({
      code: 'BAD_INPUT',
    });
  });

  test('follower: a damaged cursor is not taken for none', async () => {
    await writeFile(cursorPath, '{"chainId":"0x385","trail":[{"number":"0x1"}]}');
    await expect(follow().ended).rejects.toMatchObject({ code: 'BAD_INPUT' });
    expect(await readFile(cursorPath, 'utf8')).toContain('0x1');
  });
});
