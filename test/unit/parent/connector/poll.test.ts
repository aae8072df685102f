import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { chainAccount } from '../../../../gateway/adapter/account.ts';
import { Chain } from '../../../../gateway/adapter/chain.ts';
import { silentChainLog } from '../../../../gateway/adapter/log.ts';
import type { SenderOptions } from '../../../../gateway/adapter/sender.ts';
import { Connector, type ConnectorOptions } from '../../../../parent/connector/connector.ts';
import { connectNetwork } from '../../../../parent/connector/network.ts';

const sent = vi.hoisted((): { pollMs: (number | undefined)[] } => ({ pollMs: [] }));

vi.mock('../../../../parent/connector/network.ts', () => ({ connectNetwork: vi.fn() }));
vi.mock('../../../../gateway/adapter/sender.ts', () => ({
  Sender: class {
    constructor({ pollMs }: SenderOptions) {
      sent.pollMs.push(pollMs);
    }
  },
}));

const POLL_MS = 7_000;
const word = `0x${'00'.repeat(32)}` as const;
const address = `0x${'00'.repeat(20)}` as const;

let directory: string;
let ending: AbortController;

beforeEach(async () => {
  ending = new AbortController();
  directory = await mkdtemp(join(tmpdir(), 'kms-connector-poll-'));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

/** Of one block that was there before. */
const chain = new Chain(5n, {
  async ask(method) {
    const header = { hash: word, parentHash: word, timestamp: '0x0', logsBloom: `0x${'00'.repeat(256)}` };
    return { result: method === 'eth_chainId' ? '0x5' : { number: '0x1', ...header } };
  },
});

test('connector: all of it asks the gateway as often as its configuration says', async () => {
  const waits: number[] = [];
  const heads = {
    count: 0,
    changed: (_: number, pollMs: number, signal: AbortSignal): Promise<void> => {
      waits.push(pollMs);
      return new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
    },
  };
  const gateway = { url: 'http://gateway', chainId: 5n, startBlock: 2n, pollMs: POLL_MS } as const;
  const contract = { address, abi: [] };
  vi.mocked(connectNetwork).mockResolvedValue({
    gateway: {
      ...{ chain, heads, startBlock: 2n, finality: { confirmations: 1 } },
      ...{ keys: contract, decryptions: contract },
    },
    hosts: new Map(),
  } as never);
  const running = Connector.run({
    config: {
      ...{ stateDirectory: directory, accountKeyFile: '', listen: { host: '127.0.0.1', port: 0 } },
      gateway: { ...gateway, finality: { confirmations: 1 }, registry: address },
      ...{ hosts: [], envelopes: [] },
    },
    account: chainAccount(`0x${'11'.repeat(32)}`),
    enclave: { party: async () => 1 } as unknown as ConnectorOptions['enclave'],
    keys: {} as ConnectorOptions['keys'],
    ...{ log: silentChainLog, signal: ending.signal },
  });
  // Its follower and its head.
  await expect.poll(() => waits, { interval: 5, timeout: 5_000 }).toEqual([POLL_MS, POLL_MS]);
  expect(sent.pollMs).toEqual([POLL_MS]);
  ending.abort();
  await running;
});
