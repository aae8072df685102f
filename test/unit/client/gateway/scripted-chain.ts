import {
  type Abi,
  decodeFunctionData,
  encodeAbiParameters,
  encodeEventTopics,
  encodeFunctionResult,
  keccak256,
  parseTransaction,
} from 'viem';
import { Chain } from '../../../../gateway/adapter/chain.ts';
import type { Hex } from '../../../../gateway/adapter/chain-data.ts';
import type { Endpoint } from '../../../../gateway/adapter/endpoint.ts';

type Views = Readonly<Record<string, (...args: never[]) => unknown>>;

/** A contract of which a test says what it answers, and what a call to it does. */
export interface ScriptedContract {
  readonly abi: Abi;
  readonly views: Views;
  readonly onCall?: (name: string, args: readonly unknown[], chain: ScriptedChain) => void;
}

interface Log {
  readonly address: Hex;
  readonly topics: readonly Hex[];
  readonly data: Hex;
  readonly blockNumber: Hex;
  readonly blockHash: Hex;
  readonly transactionHash: Hex;
  readonly logIndex: Hex;
}

const word = (value: number | bigint): Hex => `0x${value.toString(16).padStart(64, '0')}`;

/** A chain that mines every transaction in a block of its own, and whose contracts are a test's. */
export class ScriptedChain {
  readonly chain: Chain;
  /** Seconds. */
  timestamp = BigInt(Math.floor(Date.now() / 1000));
  /** Transactions are taken and never mined. */
  isStuck = false;
  readonly contracts = new Map<Hex, ScriptedContract>();
  readonly #logs: Log[] = [];
  readonly #mined: Hex[] = [];

  constructor(chainId: bigint) {
    const endpoint: Endpoint = {
      ask: async (method, params) => ({ result: this.#answer(method, params as readonly Hex[]) }),
    };
    this.chain = new Chain(chainId, endpoint);
  }

  /** An event of the transaction that is being mined. */
  emit(address: Hex, eventName: string, args: Readonly<Record<string, unknown>>): void {
    const { abi } = this.contracts.get(address)!;
    const item = abi.find((one) => one.type === 'event' && one.name === eventName);
    if (item?.type !== 'event') throw new Error(`no event ${eventName}`);
    const open = item.inputs.filter(({ indexed }) => !indexed);
    const height = this.#mined.length;
    this.#logs.push({
      ...{ address, topics: encodeEventTopics({ abi, eventName, args } as never) as Hex[] },
      data: encodeAbiParameters(open, open.map(({ name }) => args[name ?? '']) as never),
      ...{ blockNumber: `0x${height.toString(16)}`, blockHash: word(height) },
      ...{ transactionHash: this.#mined.at(-1)!, logIndex: `0x${this.#logs.length.toString(16)}` },
    });
  }

  /** Somebody's transaction left this event. */
  happened(address: Hex, eventName: string, args: Readonly<Record<string, unknown>>): void {
    this.#mined.push(word(this.#mined.length + 1));
    this.emit(address, eventName, args);
  }

  #answer(method: string, params: readonly Hex[]): unknown {
    const height = this.#mined.length;
    switch (method) {
      case 'eth_getBlockByNumber':
        return {
          ...{ number: `0x${height.toString(16)}`, hash: word(height), parentHash: word(height + 1) },
          ...{ timestamp: `0x${this.timestamp.toString(16)}`, logsBloom: `0x${'00'.repeat(256)}` },
          baseFeePerGas: '0x1',
        };
      case 'eth_call':
        return this.#view(params[0] as unknown as { readonly to: Hex; readonly data: Hex });
      case 'eth_estimateGas':
        return '0x5208';
      case 'eth_getTransactionCount':
        return `0x${height.toString(16)}`;
      case 'eth_sendRawTransaction':
        return this.#mine(params[0]!);
      case 'eth_getTransactionReceipt':
        return this.#receipt(params[0]!);
      case 'eth_getTransactionByHash':
        return null;
      default:
        return this.#found(params[0] as unknown as LogQuestion);
    }
  }

  #view({ to, data }: { readonly to: Hex; readonly data: Hex }): Hex {
    const { abi, views } = this.contracts.get(to)!;
    const { functionName, args = [] } = decodeFunctionData({ abi, data });
    const view = views[functionName];
    if (view === undefined) throw new Error(`no view ${functionName}`);
    return encodeFunctionResult({ abi, functionName, result: view(...(args as never[])) } as never);
  }

  #mine(raw: Hex): Hex {
    const hash = keccak256(raw);
    if (this.isStuck) return hash;
    const { to, data = '0x' } = parseTransaction(raw);
    this.#mined.push(hash);
    const address = to!.toLowerCase() as Hex;
    const { abi, onCall } = this.contracts.get(address)!;
    const { functionName, args = [] } = decodeFunctionData({ abi, data });
    onCall?.(functionName, args as readonly unknown[], this);
    return hash;
  }

  #receipt(hash: Hex): object | null {
    const height = this.#mined.indexOf(hash) + 1;
    if (height === 0) return null;
    return {
      ...{ transactionHash: hash, blockNumber: `0x${height.toString(16)}`, blockHash: word(height) },
      ...{ status: '0x1', gasUsed: '0x5208' },
    };
  }

  #found({ address, topics = [], blockHash }: LogQuestion): readonly Log[] {
    return this.#logs.filter(
      (log) =>
        address.includes(log.address) &&
        (blockHash === undefined || log.blockHash === blockHash) &&
        topics.every((topic, i) => topic === null || log.topics[i] === topic),
    );
  }
}

interface LogQuestion {
  readonly address: readonly Hex[];
  readonly topics?: readonly (Hex | null)[];
  readonly blockHash?: Hex;
}
