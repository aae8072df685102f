import { codeOf } from '../../shared/errors.ts';
import type { Digest } from '../../shared/ids.ts';
import type { Log } from '../../shared/log.ts';
import type { GatewayChain } from '../../shared/network/chain-head.ts';
import type { AgreedChain } from './agreed-chain.ts';
import type { GatewayRegistry } from './gateway-registry.ts';

export interface GatewayHeadOptions {
  readonly chain: AgreedChain;
  readonly registry: Pick<GatewayRegistry, 'configuration'>;
  readonly log: Log;
  /** How often the chain is asked without a reason. */
  readonly pollMs?: number;
  /** Told of each new height: what is valid may have changed. */
  readonly onBlock?: () => void;
}

const POLL_MS = 4_000;

/** The gateway chain as that by which configurations become valid: followed as long as the node lives. */
export class GatewayHead implements GatewayChain {
  readonly #options: GatewayHeadOptions;
  readonly #timer: NodeJS.Timeout;
  #isWell = true;

  constructor(options: GatewayHeadOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#poll(), options.pollMs ?? POLL_MS).unref();
    void this.#poll();
  }

  block(): number {
    return Number(this.#options.chain.height);
  }

  async now(): Promise<number> {
    return Number((await this.#options.chain.refresh()).number);
  }

  published(number: number): Promise<Digest | undefined> {
    return this.#options.registry.configuration(number);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #poll(): Promise<void> {
    const { chain, log, onBlock } = this.#options;
    const before = chain.height;
    try {
      await chain.refresh();
      if (!this.#isWell) log('info', 'gateway-head-known', { count: this.block() });
      this.#isWell = true;
    } catch (error) {
      // Once, not at every turn: it may last.
      if (this.#isWell) log('warn', 'gateway-head-unknown', { code: codeOf(error), count: this.block() });
      this.#isWell = false;
    }
    if (chain.height !== before) onBlock?.();
  }
}
