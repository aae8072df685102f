import type { Hex } from 'viem';
import { KmsError } from '../../../shared/errors.ts';
import { askChain } from '../chains/ask-chain.ts';
import type { LocalNetwork } from '../network.ts';

/** What happened on one chain of the demo: whoever has the contracts' ABIs can tell it again. */
export interface ChainRecord {
  readonly chainId: number;
  readonly role: 'gateway' | 'host';
  /** Addresses by name, lower case. */
  readonly contracts: Readonly<Record<string, string>>;
  /** In their order; those that reverted are left out. */
  readonly transactions: readonly {
    readonly hash: Hex;
    readonly to: string | null;
    /** Of the function that was called, 4 bytes. */
    readonly selector: Hex;
    readonly logs: readonly {
      readonly address: string;
      readonly topics: readonly Hex[];
      readonly data: Hex;
    }[];
  }[];
}

/** @throws {KmsError} UNAVAILABLE, TIMEOUT */
export async function recordChains(network: LocalNetwork): Promise<readonly ChainRecord[]> {
  const chains = await network.chains();
  return Promise.all(
    chains.map(async ({ chainId, role, url, block = 0, contracts }) => {
      const transactions: ChainRecord['transactions'][number][] = [];
      for (let number = 0; number <= block; number++) transactions.push(...(await recordBlock(url, number)));
      return { chainId, role, contracts, transactions };
    }),
  );
}

async function recordBlock(url: string, number: number): Promise<ChainRecord['transactions']> {
  const at = `0x${number.toString(16)}`;
  const block = await askChain(url, 'eth_getBlockByNumber', [at, true]);
  // A chain that was started again does not have the blocks of before in full.
  if (!isBlock(block) || block.transactions.length === 0) return [];
  const receipts = await askChain(url, 'eth_getBlockReceipts', [at]);
  if (!isReceipts(receipts)) throw new KmsError('BAD_ENCODING', `block ${number} has no receipts`);
  return block.transactions.flatMap(({ hash, to, input }) => {
    const receipt = receipts.find((one) => one.transactionHash === hash);
    if (receipt?.status !== '0x1') return [];
    const logs = receipt.logs.map(({ address, topics, data }) => ({ address, topics, data }));
    return [{ hash, to, selector: `0x${input.slice(2, 10)}` as const, logs }];
  });
}

interface Block {
  readonly transactions: readonly {
    readonly hash: Hex;
    readonly to: string | null;
    readonly input: string;
  }[];
}

type Receipts = readonly {
  readonly transactionHash: Hex;
  readonly status: string;
  readonly logs: ChainRecord['transactions'][number]['logs'];
}[];

/** The demo's own chain answers. */
function isBlock(value: unknown): value is Block {
  return typeof value === 'object' && value !== null && 'transactions' in value;
}

function isReceipts(value: unknown): value is Receipts {
  return Array.isArray(value);
}
