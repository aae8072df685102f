import { Chain } from '../../../../gateway/adapter/chain.ts';
import type { Hex } from '../../../../gateway/adapter/chain-data.ts';
import { type Answer, type Endpoint, httpEndpoint } from '../../../../gateway/adapter/endpoint.ts';
import { AnnouncedHeads, type Heads } from '../../../../gateway/adapter/heads.ts';
import { silentChainLog } from '../../../../gateway/adapter/log.ts';
import { type LocalChain, startAnvil } from '../../../../infra/local/chains/anvil.ts';
import { KmsError } from '../../../../shared/errors.ts';

/**
 * Takes a word once: reverts if it was taken, else keeps it and emits it as the only topic. sload(word) -> revert; sstore(word, 1);
 * log1(word).
 */
const ONCE: Hex = '0x6018600c60003960186000f360003580546012576001815560006000a1005b60006000fd';

/** A chain whose blocks the test alone makes. */
export class BenchChain {
  readonly #options: { readonly chainId: number; readonly stateFile: string | undefined };
  #process: LocalChain;
  #port: number;
  once: Hex = '0x';

  private constructor(process: LocalChain, stateFile?: string) {
    this.#process = process;
    this.#port = Number(new URL(process.url).port);
    this.#options = { chainId: process.chainId, stateFile };
  }

  static async start(chainId: number, stateFile?: string): Promise<BenchChain> {
    const file = stateFile === undefined ? {} : { stateFile };
    const chain = new BenchChain(await startAnvil({ chainId, blockTimeS: 1000, ...file }), stateFile);
    await chain.#manual();
    const [from] = await chain.accounts();
    const hash = await chain.rpc('eth_sendTransaction', { from, data: ONCE });
    await chain.mine();
    const receipt = (await chain.rpc('eth_getTransactionReceipt', hash)) as { readonly contractAddress: Hex };
    chain.once = receipt.contractAddress.toLowerCase() as Hex;
    return chain;
  }

  get url(): string {
    return this.#process.url;
  }

  client(endpoint: Endpoint = httpEndpoint({ url: this.url, timeoutMs: 5_000 })): Chain {
    return new Chain(BigInt(this.#options.chainId), endpoint);
  }

  /** Subscribed already; whoever waits for it waits for a notice and nothing else. */
  async heads(signal: AbortSignal): Promise<Heads> {
    const chainId = BigInt(this.#options.chainId);
    const url = this.url.replace('http:', 'ws:');
    const heads = new AnnouncedHeads({ chainId, url, signal, log: silentChainLog });
    await heads.changed(0, 20_000, signal);
    if (heads.count === 0) throw new Error('the chain takes no subscription');
    return {
      get count() {
        return heads.count;
      },
      changed: (since, _, signal) => heads.changed(since, 600_000, signal),
    };
  }

  async rpc(method: string, ...params: readonly unknown[]): Promise<unknown> {
    const answer = await httpEndpoint({ url: this.url }).ask(method, params);
    if ('refusal' in answer) throw new Error(`${method}: ${answer.refusal.message}`);
    return answer.result;
  }

  async accounts(): Promise<readonly Hex[]> {
    return (await this.rpc('eth_accounts')) as readonly Hex[];
  }

  async mine(blocks = 1): Promise<void> {
    await this.rpc('anvil_mine', `0x${blocks.toString(16)}`);
  }

  /** One block in which `once` takes these words. */
  async emit(...words: readonly number[]): Promise<void> {
    const [from] = await this.accounts();
    for (const word of words) {
      await this.rpc('eth_sendTransaction', { from, to: this.once, data: wordOf(word), gas: '0x30d40' });
    }
    await this.mine();
  }

  /** The newest blocks become others, without transactions. */
  async reorganise(depth: number): Promise<void> {
    await this.rpc('anvil_reorg', depth, []);
  }

  async stop(): Promise<void> {
    await this.#process.stop();
  }

  /** With its state, where it was. */
  async restart(): Promise<void> {
    const { chainId, stateFile } = this.#options;
    const file = stateFile === undefined ? {} : { stateFile };
    this.#process = await startAnvil({ chainId, port: this.#port, blockTimeS: 1000, ...file });
    await this.#manual();
  }

  async #manual(): Promise<void> {
    await this.rpc('evm_setAutomine', false);
    await this.rpc('evm_setIntervalMining', 0);
  }
}

export function wordOf(value: number): Hex {
  return `0x${value.toString(16).padStart(64, '0')}`;
}

/** What an endpoint in trouble does to a request: undefined lets it through. */
export type Trouble = (
  method: string,
  params: readonly unknown[],
) => Promise<Answer> | 'lost' | 'answer-lost' | undefined;

/** An endpoint that fails as the test wants. */
export function troubled(inner: Endpoint, trouble: Trouble): Endpoint {
  return {
    async ask(method, params, signal) {
      const outcome = trouble(method, params);
      if (outcome === 'lost') throw new KmsError('UNAVAILABLE', 'no such endpoint');
      if (outcome === 'answer-lost') {
        await inner.ask(method, params, signal);
        throw new KmsError('UNAVAILABLE', 'its answer is lost');
      }
      return outcome ?? inner.ask(method, params, signal);
    },
  };
}
