import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AgreedHeads } from '../../../enclave/chains/agreed-heads.ts';
import { RpcClient } from '../../../enclave/chains/rpc-client.ts';
import { LocalAccount } from '../../../infra/local/chains/account.ts';
import { type LocalChain, startAnvil } from '../../../infra/local/chains/anvil.ts';
import type { FrontFault } from '../../../infra/local/chains/front-fault.ts';
import { TlsFront } from '../../../infra/local/chains/tls-front.ts';
import { parseAddress } from '../../../shared/address.ts';
import { digest } from '../../../shared/ids.ts';
import type { ChainAccess } from '../../../shared/network/chain-access.ts';
import { MemoryStore } from '../../simulator/memory-store.ts';

/** A real chain behind three TLS fronts, of which one lies. Blocks come by transactions alone, so that none is a surprise. */

const CHAIN_ID = 31337n;
let chain: LocalChain;
let account: LocalAccount;
let fronts: readonly TlsFront[];
let store: MemoryStore;
let nowMs: number;
const opened: AgreedHeads[] = [];

beforeAll(async () => {
  chain = await startAnvil({ chainId: Number(CHAIN_ID), blockTimeS: 3600 });
  account = new LocalAccount(chain, 0);
  fronts = await Promise.all([1, 2, 3].map(() => TlsFront.open(chain.url)));
}, 60_000);

beforeEach(async () => {
  for (const front of fronts) front.fault = { kind: 'none' };
  store = new MemoryStore();
  await mine(2);
  nowMs = Number((await newest()).timestamp) * 1000;
});

afterAll(async () => {
  for (const heads of opened) heads.close();
  for (const front of fronts ?? []) await front[Symbol.asyncDispose]();
  await chain?.stop();
});

const newest = () => account.client.getBlock();
const code = (of: string) => expect.objectContaining({ code: of });

/** That many empty blocks, a second apart. */
async function mine(count: number): Promise<void> {
  await rpc('anvil_mine', [`0x${count.toString(16)}`, '0x1']);
}

async function rpc(method: string, params: readonly unknown[]): Promise<unknown> {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
  const answer: { result?: unknown } = await (
    await fetch(chain.url, { method: 'POST', headers, body })
  ).json();
  return answer.result;
}

function open(change: Partial<ChainAccess> = {}): AgreedHeads {
  const access: ChainAccess = {
    ...{ chainId: CHAIN_ID, finality: { kind: 'finalized' }, maxHeadAgeS: 120 },
    rpc: { k: 2, endpoints: fronts.map(({ endpoint }) => endpoint) },
    ...change,
  };
  const through = async (address: string): Promise<Duplex> =>
    connect(parseAddress(address)).on('error', () => {});
  const heads = new AgreedHeads({
    accessTo: (chainId) => (chainId === CHAIN_ID ? access : undefined),
    open: (endpoint) => new RpcClient(endpoint, through),
    store,
    nowMs: () => nowMs,
    requestMs: 5_000,
  });
  opened.push(heads);
  return heads;
}

describe('agreed heads of a real chain', () => {
  it('agreed heads: the newest final block, and blocks by hash', async () => {
    const heads = open();
    const block = await newest();
    expect(await heads.head(CHAIN_ID)).toEqual({
      number: block.number,
      hash: block.hash.slice(2),
      parentHash: block.parentHash.slice(2),
      timestampS: block.timestamp,
    });
    expect(await heads.isAgreed(CHAIN_ID, digest(block.hash.slice(2)))).toBe(true);
    expect(await heads.isAgreed(CHAIN_ID, digest(block.parentHash.slice(2)))).toBe(true);
    expect(await heads.isAgreed(CHAIN_ID, digest('11'.repeat(32)))).toBe(false);
    // A block that is newer than what was the head.
    await mine(1);
    expect(await heads.isAgreed(CHAIN_ID, digest((await newest()).hash.slice(2)))).toBe(true);
    await expect(heads.head(1n)).rejects.toThrow(code('BAD_INPUT'));
  });

  it('agreed heads: by depth', async () => {
    const { number } = await newest();
    const heads = open({ finality: { kind: 'depth', blocks: 2 } });
    expect((await heads.head(CHAIN_ID)).number).toBe(number - 2n);
    expect(await heads.isAgreed(CHAIN_ID, digest((await newest()).hash.slice(2)))).toBe(false);
  });

  const faults: readonly FrontFault[] = [
    { kind: 'false hashes' },
    { kind: 'frozen', at: 0n },
    { kind: 'other chain', chainId: 1n },
    { kind: 'garbage' },
    { kind: 'error' },
    { kind: 'status', status: 503 },
    { kind: 'slow', ms: 60_000 },
    { kind: 'closes' },
    { kind: 'huge', bytes: 100 << 20 },
  ];
  it.each(faults)('agreed heads: one endpoint that is $kind changes nothing', async (fault) => {
    const { number, hash, parentHash } = await newest();
    for (const front of fronts) {
      for (const one of fronts) one.fault = one === front ? fault : { kind: 'none' };
      store = new MemoryStore();
      const heads = open();
      expect(await heads.head(CHAIN_ID)).toMatchObject({ number, hash: hash.slice(2) });
      expect(await heads.isAgreed(CHAIN_ID, digest(parentHash.slice(2)))).toBe(true);
    }
  });

  it.each(faults.filter(({ kind }) => kind !== 'frozen'))(
    'agreed heads: two endpoints that are $kind are no quorum',
    async (fault) => {
      for (const front of fronts.slice(1)) front.fault = fault;
      // Equal lies of k endpoints are believed: k > m/2 is what there is.
      if (fault.kind === 'false hashes') fronts[1]!.fault = { kind: 'closes' };
      await expect(open().head(CHAIN_ID)).rejects.toThrow(code('UNAVAILABLE'));
    },
  );

  it('agreed heads: endpoints that withhold new blocks are refused when the head is too old', async () => {
    const { number } = await newest();
    const heads = open();
    await heads.head(CHAIN_ID);
    for (const front of fronts) front.fault = { kind: 'frozen', at: number };
    await mine(3);
    nowMs += 120_000;
    expect((await heads.head(CHAIN_ID)).number).toBe(number);
    nowMs += 1_000;
    await expect(heads.head(CHAIN_ID)).rejects.toThrow(code('STALE_HEAD'));
    await expect(heads.isAgreed(CHAIN_ID, digest((await newest()).hash.slice(2)))).rejects.toThrow(
      code('STALE_HEAD'),
    );
    for (const front of fronts) front.fault = { kind: 'none' };
    await mine(130);
    expect((await heads.head(CHAIN_ID)).number).toBe(number + 133n);
  });

  it('agreed heads: a chain that goes back is refused, also after a restart, until it is there again', async () => {
    const snapshot = await rpc('evm_snapshot', []);
    const before = await newest();
    await mine(3);
    const heads = open();
    expect((await heads.head(CHAIN_ID)).number).toBe(before.number + 3n);
    await rpc('evm_revert', [snapshot]);
    expect((await newest()).number).toBe(before.number);
    const restarted = open();
    await expect(restarted.head(CHAIN_ID)).rejects.toThrow(code('STALE_HEAD'));
    await expect(restarted.isAgreed(CHAIN_ID, digest(before.hash.slice(2)))).rejects.toThrow(
      code('STALE_HEAD'),
    );
    await expect((await heads.chain(CHAIN_ID)).refresh()).rejects.toThrow(code('STALE_HEAD'));
    await mine(3);
    expect((await restarted.head(CHAIN_ID)).number).toBe(before.number + 3n);
  });
});
