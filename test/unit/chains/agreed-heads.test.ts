import { beforeEach, describe, expect, it } from 'vitest';
import { AgreedHeads, type OpenEndpoint } from '../../../enclave/chains/agreed-heads.ts';
import { KmsError } from '../../../shared/errors.ts';
import { digest } from '../../../shared/ids.ts';
import type { ChainAccess } from '../../../shared/network/chain-access.ts';
import type { RpcEndpoint } from '../../../shared/network/rpc.ts';
import { BLOCK_S, blockAt, CHAIN_ID, FakeEndpoint, START_S } from '../../simulator/fake-chain.ts';
import { MemoryStore } from '../../simulator/memory-store.ts';

class Endpoint extends FakeEndpoint implements OpenEndpoint {
  isClosed = false;

  close(): void {
    this.isClosed = true;
  }
}

const HOST_ID = CHAIN_ID + 1n;
const pin = digest('11'.repeat(32));
const urls = (...names: readonly string[]): readonly RpcEndpoint[] =>
  names.map((name) => ({ url: `https://${name}.example/`, spkiPins: [pin] }));
let opened: Map<string, Endpoint>;
let access: Map<bigint, ChainAccess>;
let store: MemoryStore;

beforeEach(() => {
  opened = new Map();
  store = new MemoryStore();
  access = new Map(
    [CHAIN_ID, HOST_ID].map((chainId) => [
      chainId,
      {
        ...{ chainId, finality: { kind: 'finalized' }, maxHeadAgeS: 120 },
        rpc: { k: 2, endpoints: urls(`a${chainId}`, `b${chainId}`, `c${chainId}`) },
      },
    ]),
  );
});

function open(): AgreedHeads {
  return new AgreedHeads({
    accessTo: (chainId) => access.get(chainId),
    open: ({ url }) => {
      const endpoint = new Endpoint(100n);
      // FakeEndpoint's other chain is the one after.
      if (url.includes(String(HOST_ID))) endpoint.fault = 'other chain';
      opened.set(url, endpoint);
      return endpoint;
    },
    store,
    nowMs: () => Number(START_S + 100n * BLOCK_S) * 1000,
    requestMs: 100,
  });
}

describe('agreed heads', () => {
  it('agreed heads: each chain by its own endpoints, with a floor of its own', async () => {
    const heads = open();
    expect(await heads.head(CHAIN_ID)).toEqual(blockAt(100n));
    for (const [url, endpoint] of opened) expect([url, endpoint.asked > 0]).toEqual([url, true]);
    expect([...opened.keys()]).toHaveLength(3);
    expect((await heads.head(HOST_ID)).number).toBe(100n);
    expect(await store.list('chains/')).toEqual([`chains/${CHAIN_ID}/head`, `chains/${HOST_ID}/head`]);
    expect(await heads.isAgreed(CHAIN_ID, blockAt(100n).hash)).toBe(true);
    expect(await heads.isAgreed(CHAIN_ID, digest('00'.repeat(32)))).toBe(false);
  });

  it('agreed heads: a chain that the configuration does not name, or not any more, is not believed', async () => {
    const heads = open();
    await expect(heads.head(1n)).rejects.toMatchObject({ code: 'BAD_INPUT' });
    await heads.head(HOST_ID);
    access.delete(HOST_ID);
    await expect(heads.head(HOST_ID)).rejects.toMatchObject({ code: 'BAD_INPUT' });
    await expect(heads.isAgreed(HOST_ID, blockAt(100n).hash)).rejects.toMatchObject({ code: 'BAD_INPUT' });
  });

  it('agreed heads: other endpoints are asked as soon as the configuration names them, and the old ones are closed', async () => {
    const heads = open();
    await heads.head(CHAIN_ID);
    const before = [...opened.values()];
    const now = access.get(CHAIN_ID)!;
    const kept = now.rpc.endpoints[0]!;
    access.set(CHAIN_ID, {
      ...now,
      rpc: { k: 2, endpoints: [kept, ...urls(`d${CHAIN_ID}`, `e${CHAIN_ID}`)] },
    });
    await (await heads.chain(CHAIN_ID)).refresh();
    expect(before.map(({ isClosed }) => isClosed)).toEqual([false, true, true]);
    expect(opened.size).toBe(5);
    // The same address with another key is another endpoint.
    const other = { ...kept, spkiPins: [digest('22'.repeat(32))] };
    access.set(CHAIN_ID, { ...now, rpc: { k: 1, endpoints: [other] } });
    await (await heads.chain(CHAIN_ID)).refresh();
    expect(before[0]!.isClosed).toBe(true);
    heads.close();
    expect([...opened.values()].every(({ isClosed }) => isClosed)).toBe(true);
  });

  it('agreed heads: a floor that cannot be read is no floor of zero', async () => {
    const get = store.get.bind(store);
    store.get = () => Promise.reject(new KmsError('STORE_FAILED', 'damaged'));
    const heads = open();
    await expect(heads.head(CHAIN_ID)).rejects.toMatchObject({ code: 'STORE_FAILED' });
    store.get = get;
    expect((await heads.head(CHAIN_ID)).number).toBe(100n);
  });
});
