import { KmsError } from '../../shared/errors.ts';
import {
  type ChainLogEntry,
  data,
  type Header,
  type Hex,
  quantity,
  type Receipt,
  readHeader,
  readLogs,
  readReceipt,
  readTransaction,
  type Transaction,
} from './chain-data.ts';
import type { Answer, Endpoint, Refusal } from './endpoint.ts';

/** What logs are asked for; a topic may be left open. */
export interface LogFilter {
  readonly addresses: readonly Hex[];
  readonly topics?: readonly (Hex | null)[];
}

export interface CallRequest {
  readonly from?: Hex;
  readonly to: Hex;
  readonly data: Hex;
  readonly value?: bigint;
}

export type CallOutcome = { readonly returned: Hex } | { readonly refusal: Refusal };

const MAX_RETURN_BYTES = 1 << 20;
/** Twice what EIP-170 allows. */
const MAX_CODE_BYTES = 48 << 10;

/**
 * The questions that programs here ask a chain. Every method throws what Endpoint.ask throws, and BAD_ENCODING for an answer of
 * another shape; refusals of calls and transactions are answers, those of anything else are UNAVAILABLE.
 */
export class Chain {
  readonly chainId: bigint;
  readonly #endpoint: Endpoint;

  constructor(chainId: bigint, endpoint: Endpoint) {
    this.chainId = chainId;
    this.#endpoint = endpoint;
  }

  /** @throws {KmsError} BAD_INPUT if the endpoint is one of another chain */
  async requireChain(signal?: AbortSignal): Promise<void> {
    const chainId = quantity(await this.#ask('eth_chainId', [], signal));
    if (chainId !== this.chainId) {
      throw new KmsError(
        'BAD_INPUT',
        `the endpoint is of chain ${chainId}, not of ${this.chainId}: correct the URL`,
      );
    }
  }

  /** @returns undefined if there is no such block (yet) */
  async header(of: bigint | 'latest' | 'finalized', signal?: AbortSignal): Promise<Header | undefined> {
    const name = typeof of === 'bigint' ? hex(of) : of;
    const value = await this.#ask('eth_getBlockByNumber', [name, false], signal);
    if (value === null) return undefined;
    const header = readHeader(value);
    if (typeof of === 'bigint' && header.number !== of)
      throw new KmsError('BAD_ENCODING', 'another block than asked for');
    return header;
  }

  async latest(signal?: AbortSignal): Promise<Header> {
    const header = await this.header('latest', signal);
    if (header === undefined) throw new KmsError('UNAVAILABLE', 'the chain has no block');
    return header;
  }

  /** Logs of blocks from..to, both included, as the chain stands when asked. @throws {KmsError} also TOO_LARGE: ask for less */
  async logs(
    filter: LogFilter,
    from: bigint,
    to: bigint,
    signal?: AbortSignal,
  ): Promise<readonly ChainLogEntry[]> {
    return this.#logs(filter, { fromBlock: hex(from), toBlock: hex(to) }, signal);
  }

  /** Logs of one block by its hash. */
  async logsOf(filter: LogFilter, blockHash: Hex, signal?: AbortSignal): Promise<readonly ChainLogEntry[]> {
    return this.#logs(filter, { blockHash }, signal);
  }

  /** On the newest state. */
  async call({ from, to, data: input, value = 0n }: CallRequest, signal?: AbortSignal): Promise<CallOutcome> {
    const call = { ...(from === undefined ? {} : { from }), to, data: input, value: hex(value) };
    const answer = await this.#endpoint.ask('eth_call', [call, 'latest'], signal);
    return 'refusal' in answer
      ? callRefused(answer.refusal)
      : { returned: data(answer.result, MAX_RETURN_BYTES) };
  }

  /** On the newest state. @returns gas, or why the transaction would fail */
  async estimate(
    { from, to, data: input, value = 0n }: CallRequest,
    signal?: AbortSignal,
  ): Promise<{ readonly gas: bigint } | { readonly refusal: Refusal }> {
    const call = { ...(from === undefined ? {} : { from }), to, data: input, value: hex(value) };
    const answer = await this.#endpoint.ask('eth_estimateGas', [call, 'latest'], signal);
    return 'refusal' in answer ? callRefused(answer.refusal) : { gas: quantity(answer.result, 64) };
  }

  /** Runtime code of a contract, on the newest state; empty where there is none. */
  async code(address: Hex, signal?: AbortSignal): Promise<Hex> {
    return data(await this.#ask('eth_getCode', [address, 'latest'], signal), MAX_CODE_BYTES);
  }

  /**
   * A block as the endpoint gives it, with all fields of its header: for shared/gateway/proof, which checks it.
   * @throws {KmsError} UNAVAILABLE if there is no such block (yet)
   */
  async rawBlock(number: bigint, signal?: AbortSignal): Promise<unknown> {
    const value = await this.#ask('eth_getBlockByNumber', [hex(number), false], signal);
    if (value === null) throw new KmsError('UNAVAILABLE', `the endpoint has no block ${number}`);
    return value;
  }

  /** Proofs of an account and slots of it at a block, as the endpoint gives them: for shared/gateway/proof, which checks them. */
  async proof(address: Hex, slots: readonly Hex[], number: bigint, signal?: AbortSignal): Promise<unknown> {
    return this.#ask('eth_getProof', [address, slots, hex(number)], signal);
  }

  /** Number of the account's transactions, mined or with those that wait. */
  async nonce(account: Hex, of: 'latest' | 'pending', signal?: AbortSignal): Promise<number> {
    return Number(quantity(await this.#ask('eth_getTransactionCount', [account, of], signal), 48));
  }

  async balance(account: Hex, signal?: AbortSignal): Promise<bigint> {
    return quantity(await this.#ask('eth_getBalance', [account, 'latest'], signal));
  }

  async receipt(hash: Hex, signal?: AbortSignal): Promise<Receipt | undefined> {
    const value = await this.#ask('eth_getTransactionReceipt', [hash], signal);
    if (value === null) return undefined;
    const receipt = readReceipt(value);
    if (receipt.transactionHash !== hash)
      throw new KmsError('BAD_ENCODING', 'the receipt of another transaction');
    return receipt;
  }

  async transaction(hash: Hex, signal?: AbortSignal): Promise<Transaction | undefined> {
    const value = await this.#ask('eth_getTransactionByHash', [hash], signal);
    if (value === null) return undefined;
    const transaction = readTransaction(value);
    if (transaction.hash !== hash) throw new KmsError('BAD_ENCODING', 'another transaction than asked for');
    return transaction;
  }

  /** @param raw a signed transaction @returns undefined once the endpoint has taken it */
  async submit(raw: Hex, signal?: AbortSignal): Promise<Refusal | undefined> {
    const answer = await this.#endpoint.ask('eth_sendRawTransaction', [raw], signal);
    return 'refusal' in answer ? answer.refusal : undefined;
  }

  async #logs(filter: LogFilter, range: object, signal?: AbortSignal): Promise<readonly ChainLogEntry[]> {
    const { addresses: address, topics } = filter;
    const wanted = { ...range, address, ...(topics === undefined ? {} : { topics }) };
    const answer = await this.#endpoint.ask('eth_getLogs', [wanted], signal);
    // Endpoints refuse wide ranges with codes and words of their own.
    if ('refusal' in answer)
      throw new KmsError('TOO_LARGE', `the endpoint refuses the range: ${answer.refusal.message}`);
    const logs = readLogs(answer.result);
    if (logs.some((log) => !address.includes(log.address))) {
      throw new KmsError('BAD_ENCODING', 'logs of a contract that was not asked for');
    }
    return logs;
  }

  async #ask(method: string, params: readonly unknown[], signal?: AbortSignal): Promise<unknown> {
    const answer: Answer = await this.#endpoint.ask(method, params, signal);
    if ('result' in answer) return answer.result;
    throw new KmsError('UNAVAILABLE', `the endpoint refuses ${method}: ${answer.refusal.message}`);
  }
}

/**
 * A revert says something about the call; that the endpoint is overloaded, say, does not.
 * @throws {KmsError} UNAVAILABLE for the latter
 */
function callRefused(refusal: Refusal): { readonly refusal: Refusal } {
  // 3: execution reverted (EIP-1474); others say so in words, with -32000 or -32003.
  const isAboutCall =
    refusal.code === 3 ||
    refusal.revertData !== undefined ||
    /revert|insufficient|exceed|gas/i.test(refusal.message);
  if (!isAboutCall) throw new KmsError('UNAVAILABLE', `the endpoint refuses: ${refusal.message}`);
  return { refusal };
}

function hex(value: bigint): Hex {
  return `0x${value.toString(16)}`;
}
