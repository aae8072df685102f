import { expect, test, vi } from 'vitest';
import { chainAccount } from '../../../gateway/adapter/account.ts';
import { silentChainLog } from '../../../gateway/adapter/log.ts';
import type { SenderOptions } from '../../../gateway/adapter/sender.ts';
import { connect } from '../../../gateway/relayer/connect.ts';

const waits = vi.hoisted(() => new Map<bigint, number | undefined>());

vi.mock('../../../gateway/adapter/endpoint.ts', () => ({
  httpEndpoint: ({ url }: { readonly url: string }) => ({
    ask: async () => ({ result: url.replace('http://', '') }),
  }),
}));
vi.mock('../../../gateway/adapter/network-contracts.ts', () => ({
  gatewayContracts: async () => ({}),
  hostContracts: async () => ({}),
}));
vi.mock('../../../gateway/adapter/sender.ts', () => ({
  Sender: class {
    constructor({ chain, pollMs }: SenderOptions) {
      waits.set(chain.chainId, pollMs);
    }
  },
}));

test('relayer: each sender asks its chain as often as the configuration of that chain says', async () => {
  const followed = { startBlock: 0n, finality: 'finalized' } as const;
  const config = {
    ...{ stateDirectory: '', accountKeyFile: '', committeeChangesDirectory: undefined },
    ...{ lifetimeS: 60, maxFeePerHandleWei: 1n },
    gateway: { ...followed, url: 'http://0x1', chainId: 1n, pollMs: 700, registry: '0x' as const },
    hosts: [
      { ...followed, url: 'http://0x2', chainId: 2n, pollMs: 800 },
      { ...followed, url: 'http://0x3', chainId: 3n },
    ],
  };
  const account = chainAccount(`0x${'11'.repeat(32)}`);
  await connect(config, account, silentChainLog, new AbortController().signal);
  expect(waits).toEqual(
    new Map([
      [1n, 700],
      [2n, 800],
      [3n, undefined],
    ]),
  );
});
