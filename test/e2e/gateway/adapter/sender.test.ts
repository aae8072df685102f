import { parseTransaction } from 'viem';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type ChainAccount, chainAccount } from '../../../../gateway/adapter/account.ts';
import type { Hex } from '../../../../gateway/adapter/chain-data.ts';
import { type Answer, type Endpoint, httpEndpoint } from '../../../../gateway/adapter/endpoint.ts';
import type { Heads } from '../../../../gateway/adapter/heads.ts';
import { Sender, type SenderOptions } from '../../../../gateway/adapter/sender.ts';
import { BenchChain, troubled, wordOf } from './bench-chain.ts';

/** Sending on a real chain whose blocks the test makes. */

const QUICK = { firstMs: 5, longestMs: 20 };

let chain: BenchChain;
let account: ChainAccount;
let stopAll: AbortController;
let events: string[];
let nextWord = 1;
let accounts = 0;

beforeAll(async () => {
  chain = await BenchChain.start(903);
});

afterAll(async () => {
  await chain?.stop();
});

beforeEach(async () => {
  stopAll = new AbortController();
  events = [];
  account = chainAccount(wordOf(0xa11ce + accounts++));
  await chain.rpc('anvil_setBalance', account.address, '0x56bc75e2d63100000');
  await gasLimit(BLOCK);
  await baseFee(1);
  await chain.mine();
});

afterEach(() => stopAll.abort());

function sender(changes: Partial<SenderOptions> = {}, endpoint?: Endpoint): Sender {
  return new Sender({
    chain: chain.client(endpoint),
    account,
    log: (_, event) => void events.push(event),
    signal: stopAll.signal,
    pollMs: 5,
    backoff: QUICK,
    ...changes,
  });
}

const call = (word: number): { readonly to: Hex; readonly data: Hex } => ({
  to: chain.once,
  data: wordOf(word),
});

async function isTaken(word: number): Promise<boolean> {
  return BigInt(String(await chain.rpc('eth_getStorageAt', chain.once, wordOf(word), 'latest'))) === 1n;
}

const take = (by: Sender, word: number): ReturnType<Sender['send']> =>
  by.send(`take ${word}`, call(word), () => isTaken(word));

/** An answer that comes after a block which it does not know of yet, and which was announced meanwhile. */
async function overtaken(asked: Promise<Answer>, heads: Heads): Promise<Answer> {
  const answer = await asked;
  const { count } = heads;
  await chain.mine();
  await heads.changed(count, 20_000, stopAll.signal);
  return answer;
}

/** Of the account, mined. */
const sentCount = (): Promise<number> => chain.client().nonce(account.address, 'latest');
const waiting = async (): Promise<number> =>
  (await chain.client().nonce(account.address, 'pending')) - (await sentCount());
const expectWaiting = (count: number): Promise<void> =>
  expect.poll(waiting, { timeout: 10_000, interval: 5 }).toBe(count);

/** Of the next block alone. */
async function baseFee(gwei: number): Promise<void> {
  await chain.rpc('anvil_setNextBlockBaseFeePerGas', `0x${(gwei * 1e9).toString(16)}`);
}

/** Holds a plain transfer and nothing else. */
const SMALL_BLOCK = 30_000;
const BLOCK = 30_000_000;
const gasLimit = (gas: number): Promise<unknown> =>
  chain.rpc('evm_setBlockGasLimit', `0x${gas.toString(16)}`);

/** Blocks with room for programs to look at each. */
async function mineUntil(isDone: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 100 && !(await isDone()); i++) {
    await chain.mine();
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
  expect(await isDone()).toBe(true);
}

/** Somebody else's. */
async function takeByOthers(word: number, feeWei = 200_000_000_000): Promise<void> {
  const [from] = await chain.accounts();
  const fee = `0x${feeWei.toString(16)}`;
  const fees = { maxFeePerGas: fee, maxPriorityFeePerGas: fee };
  await chain.rpc('eth_sendTransaction', { from, ...call(word), gas: '0x30d40', ...fees });
}

describe('sender', () => {
  test('sender: a call is mined, and what is done is not sent again', async () => {
    const word = nextWord++;
    const one = sender();
    const outcome = take(one, word);
    await expectWaiting(1);
    await chain.mine();
    expect(await outcome).toMatchObject({ kind: 'mined', receipt: { isSuccess: true } });
    expect(await take(one, word)).toEqual({ kind: 'already' });
    expect(await sentCount()).toBe(1);
  });

  test('sender: a chain that announces its blocks is not polled for receipts', async () => {
    const word = nextWord++;
    const heads = await chain.heads(stopAll.signal);
    let asked = 0;
    const endpoint = troubled(httpEndpoint({ url: chain.url }), (method) => {
      if (method === 'eth_getTransactionReceipt') asked++;
      return undefined;
    });
    const outcome = take(sender({ heads, pollMs: 60_000 }, endpoint), word);
    await expectWaiting(1);
    await new Promise((resolve) => setTimeout(resolve, 500));
    // Before and after the nonce.
    expect(asked).toBe(2);
    await chain.mine();
    expect(await outcome).toMatchObject({ kind: 'mined' });
    expect(await sentCount()).toBe(1);
  });

  test('sender: a block that is announced while it is asked for the receipt is not missed', async () => {
    const word = nextWord++;
    const heads = await chain.heads(stopAll.signal);
    const inner = httpEndpoint({ url: chain.url });
    let asked = 0;
    const endpoint = troubled(inner, (method, params) => {
      if (method !== 'eth_getTransactionReceipt' || ++asked !== 2) return undefined;
      return overtaken(inner.ask(method, params), heads);
    });
    const outcome = take(sender({ heads, pollMs: 60_000 }, endpoint), word);
    expect(await outcome).toMatchObject({ kind: 'mined' });
    expect(await sentCount()).toBe(1);
  });

  test('sender: what an earlier process sent is waited for by notices too', async () => {
    const word = nextWord++;
    const killed = new AbortController();
    const abandoned = take(sender({ signal: killed.signal }), word);
    abandoned.catch(() => undefined);
    await expectWaiting(1);
    killed.abort();
    const heads = await chain.heads(stopAll.signal);
    const inner = httpEndpoint({ url: chain.url });
    let asked = 0;
    // It is mined while its nonce is asked for.
    const endpoint = troubled(inner, (method, params) => {
      if (method !== 'eth_getTransactionCount' || params[1] !== 'latest' || asked++ > 0) return undefined;
      return overtaken(inner.ask(method, params), heads);
    });
    const outcome = take(sender({ heads, pollMs: 60_000 }, endpoint), word);
    expect(await outcome).toEqual({ kind: 'already' });
  });

  test('sender: the same call twice at once is one transaction', async () => {
    const word = nextWord++;
    const one = sender();
    const both = Promise.all([take(one, word), take(one, word)]);
    await expectWaiting(1);
    await chain.mine();
    const [a, b] = await both;
    expect(a).toBe(b);
    expect(await sentCount()).toBe(1);
  });

  test('sender: several are under way at once, each with its nonce; more than it holds are refused', async () => {
    const words = Array.from({ length: 6 }, () => nextWord++);
    const one = sender({ inFlight: 4, maxCalls: 6 });
    const all = words.map((word) => take(one, word));
    await expect(take(one, nextWord++)).rejects.toMatchObject({ code: 'BUSY' });
    await expectWaiting(4);
    await chain.mine();
    await expectWaiting(2);
    await chain.mine();
    expect((await Promise.all(all)).map(({ kind }) => kind)).toEqual(words.map(() => 'mined'));
    expect(await sentCount()).toBe(6);
  });

  test('sender: a call that reverts since somebody was faster is done', async () => {
    const word = nextWord++;
    const outcome = take(sender(), word);
    await expectWaiting(1);
    // Pays more, so it is mined before.
    await takeByOthers(word);
    await chain.mine();
    expect(await outcome).toEqual({ kind: 'already' });
    expect(await sentCount()).toBe(1);
  });

  test('sender: a call that reverts for another reason is refused, and costs no nonce', async () => {
    const word = nextWord++;
    await takeByOthers(word);
    await chain.mine();
    const one = sender();
    const never = async (): Promise<boolean> => false;
    expect(await one.send('never', call(word), never)).toMatchObject({ kind: 'refused' });
    expect(await sentCount()).toBe(0);
    const next = nextWord++;
    const outcome = take(one, next);
    await expectWaiting(1);
    await chain.mine();
    expect(await outcome).toMatchObject({ kind: 'mined' });
  });

  test('sender: an account without money is told so', async () => {
    await chain.rpc('anvil_setBalance', account.address, '0x0');
    expect(await take(sender(), nextWord++)).toMatchObject({ kind: 'refused' });
  });

  test('sender: what the endpoint refuses for now is offered again soon, however seldom it asks for blocks', async () => {
    const word = nextWord++;
    let offered = 0;
    const endpoint = troubled(httpEndpoint({ url: chain.url }), (method) => {
      if (method !== 'eth_sendRawTransaction' || ++offered > 1) return undefined;
      return Promise.resolve({ refusal: { code: -32000, message: 'underpriced', revertData: undefined } });
    });
    const outcome = take(sender({ pollMs: 60_000 }, endpoint), word);
    await expectWaiting(1);
    expect(offered).toBe(2);
    await chain.mine();
    expect(await outcome).toMatchObject({ kind: 'mined' });
  });

  test('sender: what is not mined in time offers more', async () => {
    const word = nextWord++;
    const outcome = take(sender({ raiseAfterBlocks: 2 }), word);
    await expectWaiting(1);
    await baseFee(20);
    await chain.mine();
    expect(await sentCount()).toBe(0);
    for (let i = 0; i < 12 && (await sentCount()) === 0; i++) {
      await baseFee(20);
      await chain.mine();
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    expect(await outcome).toMatchObject({ kind: 'mined' });
    expect(events).toContain('fees-raised');
    expect(await sentCount()).toBe(1);
  });

  test('sender: gas has room beyond the estimate, and more where a call says so', async () => {
    const limits: bigint[] = [];
    const endpoint = troubled(httpEndpoint({ url: chain.url }), (method, [raw]) => {
      if (method === 'eth_sendRawTransaction') limits.push(parseTransaction(raw as Hex).gas ?? 0n);
      return undefined;
    });
    const by = sender({}, endpoint);
    for (const spareGas of [0n, 70_000n]) {
      const word = nextWord++;
      const outcome = by.send(`take ${word}`, { ...call(word), spareGas }, () => isTaken(word));
      await expectWaiting(1);
      await chain.mine();
      expect(await outcome).toMatchObject({ kind: 'mined' });
    }
    expect(limits[1]! - limits[0]!).toBeGreaterThan(69_000n);
    expect(limits[1]! - limits[0]!).toBeLessThan(71_000n);
  });

  test('sender: fees stay below their limit', async () => {
    const word = nextWord++;
    const fees = { tipWei: 1_000_000_000n, maxFeePerGasWei: 5_000_000_000n };
    const offered: bigint[] = [];
    const endpoint = troubled(httpEndpoint({ url: chain.url }), (method, [raw]) => {
      if (method === 'eth_sendRawTransaction') offered.push(parseTransaction(raw as Hex).maxFeePerGas ?? 0n);
      return undefined;
    });
    const outcome = take(sender({ raiseAfterBlocks: 1, fees }, endpoint), word);
    await expectWaiting(1);
    await gasLimit(SMALL_BLOCK);
    await mineUntil(() => events.includes('fees-at-their-limit'));
    expect(offered.length).toBeGreaterThanOrEqual(3);
    expect(offered.at(-1)).toBeGreaterThan(offered[0]!);
    expect(offered.every((fee) => fee <= fees.maxFeePerGasWei)).toBe(true);
    await gasLimit(BLOCK);
    await chain.mine();
    expect(await outcome).toMatchObject({ kind: 'mined' });
    expect(await sentCount()).toBe(1);
  });

  test('sender: killed with a transaction under way, the next one waits for it and sends nothing twice', async () => {
    const [first, second] = [nextWord++, nextWord++];
    const killed = new AbortController();
    const abandoned = take(sender({ signal: killed.signal }), first);
    abandoned.catch(() => undefined);
    await expectWaiting(1);
    killed.abort();
    const again = sender();
    const outcomes = Promise.all([take(again, first), take(again, second)]);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await waiting()).toBe(1);
    await chain.mine();
    await expectWaiting(1);
    await chain.mine();
    expect((await outcomes).map(({ kind }) => kind).sort()).toEqual(['already', 'mined']);
    expect(await sentCount()).toBe(2);
  });

  test('sender: what an earlier process left behind, and nobody mines, is replaced', async () => {
    const [first, second] = [nextWord++, nextWord++];
    const killed = new AbortController();
    const abandoned = take(sender({ signal: killed.signal }), first);
    abandoned.catch(() => undefined);
    await expectWaiting(1);
    await gasLimit(SMALL_BLOCK);
    killed.abort();
    // Nothing fits a small block: what comes after is looked at once blocks are large again.
    const isLarge = Promise.withResolvers<void>();
    const inner = httpEndpoint({ url: chain.url });
    const patient = troubled(inner, (method, params) =>
      method === 'eth_estimateGas' ? isLarge.promise.then(() => inner.ask(method, params)) : undefined,
    );
    const again = sender({ raiseAfterBlocks: 2 }, patient);
    const outcomes = Promise.all([first, second].map((word) => take(again, word)));
    await mineUntil(async () => (await sentCount()) === 1);
    expect(events).toContain('old-transaction-replaced');
    await gasLimit(BLOCK);
    await chain.mine();
    isLarge.resolve();
    await expectWaiting(2);
    await chain.mine();
    expect((await outcomes).map(({ kind }) => kind)).toEqual(['mined', 'mined']);
    expect(await sentCount()).toBe(3);
  });

  test('sender: an answer that is lost does not make a second transaction', async () => {
    const word = nextWord++;
    let lost = 0;
    const endpoint = troubled(httpEndpoint({ url: chain.url }), (method) =>
      method === 'eth_sendRawTransaction' && lost++ === 0 ? 'answer-lost' : undefined,
    );
    const outcome = take(sender({}, endpoint), word);
    await expectWaiting(1);
    await chain.mine();
    expect(await outcome).toMatchObject({ kind: 'mined' });
    expect(lost).toBeGreaterThan(1);
    expect(await sentCount()).toBe(1);
  });

  test('sender: an answer that is lost until the transaction is mined does not make a second one', async () => {
    const word = nextWord++;
    let isMined = false;
    const inner = httpEndpoint({ url: chain.url });
    const endpoint = troubled(inner, (method) =>
      method === 'eth_sendRawTransaction' && !isMined ? 'answer-lost' : undefined,
    );
    const outcome = take(sender({}, endpoint), word);
    await expectWaiting(1);
    await chain.mine();
    isMined = true;
    expect((await outcome).kind).toBe('mined');
    expect(await sentCount()).toBe(1);
  });

  test('sender: a mined transaction of which its endpoint knows nothing yet is not sent a second time', async () => {
    const word = nextWord++;
    let isMined = false;
    let unknown = 0;
    const endpoint = troubled(httpEndpoint({ url: chain.url }), (method) => {
      if (method === 'eth_sendRawTransaction' && !isMined) return 'answer-lost';
      if (method !== 'eth_getTransactionByHash' || unknown > 2) return undefined;
      unknown += 1;
      return Promise.resolve({ result: null });
    });
    const outcome = take(sender({}, endpoint), word);
    await expectWaiting(1);
    await chain.mine();
    isMined = true;
    expect((await outcome).kind).toBe('already');
    expect(unknown).toBeGreaterThan(0);
    expect(await sentCount()).toBe(1);
  });

  test('sender: a receipt that comes after the nonce is waited for', async () => {
    const word = nextWord++;
    let isMined = false;
    let withheld = 0;
    const endpoint = troubled(httpEndpoint({ url: chain.url }), (method) => {
      // What endpoints of unequal height say: the nonce is used, and of the rest they know nothing yet.
      if (!isMined || withheld > 6) return undefined;
      if (method !== 'eth_getTransactionReceipt' && method !== 'eth_getStorageAt') return undefined;
      withheld += 1;
      return Promise.resolve({ result: null });
    });
    const by = sender({}, endpoint);
    const outcome = by.send(`take ${word}`, call(word), async () => withheld > 6 && (await isTaken(word)));
    await expectWaiting(1);
    isMined = true;
    await chain.mine();
    expect((await outcome).kind).toBe('mined');
    expect(withheld).toBe(7);
    expect(await sentCount()).toBe(1);
  });

  test('sender: a transaction that the pool forgot is submitted again', async () => {
    const word = nextWord++;
    const outcome = take(sender(), word);
    await expectWaiting(1);
    await chain.rpc('anvil_dropAllTransactions');
    await expectWaiting(1);
    await chain.mine();
    expect(await outcome).toMatchObject({ kind: 'mined' });
  });

  test('sender: a transaction that a reorganisation undid is sent again before it counts', async () => {
    const word = nextWord++;
    const outcome = take(sender({ confirmations: 3 }), word);
    await expectWaiting(1);
    await chain.mine();
    expect(await sentCount()).toBe(1);
    await chain.reorganise(1);
    expect(await isTaken(word)).toBe(false);
    await expectWaiting(1);
    await chain.mine(3);
    expect(await outcome).toMatchObject({ kind: 'mined' });
    expect(await isTaken(word)).toBe(true);
  });

  test('sender: a nonce that somebody else with the same key used is given up, the call is not', async () => {
    const word = nextWord++;
    const outcome = take(sender(), word);
    await expectWaiting(1);
    const other = await account.sign({
      ...{ chainId: 903, nonce: 0, to: account.address, data: '0x', value: 0n, gas: 50_000n },
      ...{ maxFeePerGas: 300_000_000_000n, maxPriorityFeePerGas: 300_000_000_000n },
    });
    await chain.rpc('eth_sendRawTransaction', other);
    await chain.mine();
    await expectWaiting(1);
    await chain.mine();
    expect(await outcome).toMatchObject({ kind: 'mined' });
    expect(await sentCount()).toBe(2);
  });

  test('sender: a chain that is down is waited for, and the end of the sender ends its calls', async () => {
    const word = nextWord++;
    let isDown = true;
    const endpoint = troubled(httpEndpoint({ url: chain.url }), () => (isDown ? 'lost' : undefined));
    const one = sender({}, endpoint);
    const outcome = take(one, word);
    await expect.poll(() => events, { interval: 5 }).toContain('chain-unavailable');
    isDown = false;
    await expectWaiting(1);
    isDown = true;
    await chain.mine();
    isDown = false;
    expect(await outcome).toMatchObject({ kind: 'mined' });
    const left = take(one, nextWord++);
    left.catch(() => undefined);
    await expectWaiting(1);
    stopAll.abort();
    await expect(left).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await chain.mine();
  });
});
