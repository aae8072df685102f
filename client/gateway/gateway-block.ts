import { Chain } from '../../gateway/adapter/chain.ts';
import { httpEndpoint } from '../../gateway/adapter/endpoint.ts';
import type { Finality } from '../../shared/network/chain-access.ts';
import type { EndpointOf } from './context.ts';
import type { ChainPlace } from './gateway-file.ts';

/** A block so old is asked for again when somebody wants to know. */
const FRESH_MS = 10_000;

/**
 * The newest block of the gateway chain that counts, as an endpoint tells it: what a client judges configurations by. Whoever controls the
 * endpoint can hold it back, so that an image counts which the network has given up since, or run ahead, so that one counts before its
 * delay is over; never one that no configuration allows.
 */
export class GatewayBlock {
  readonly #chain: Chain;
  readonly #finality: Finality;
  readonly #nowMs: () => number;
  #highest = 0;
  #askedMs = 0;

  private constructor(chain: Chain, finality: Finality, nowMs: () => number) {
    [this.#chain, this.#finality, this.#nowMs] = [chain, finality, nowMs];
  }

  /** @param finality of genesis @throws {KmsError} BAD_INPUT for an endpoint of another chain; UNAVAILABLE, TIMEOUT */
  static async open(
    place: ChainPlace,
    finality: Finality,
    endpointOf: EndpointOf = ({ url }) => httpEndpoint({ url }),
    nowMs: () => number = Date.now,
  ): Promise<GatewayBlock> {
    const chain = new Chain(place.chainId, endpointOf(place));
    await chain.requireChain();
    const block = new GatewayBlock(chain, finality, nowMs);
    await block.#ask();
    return block;
  }

  /** Never decreases. */
  readonly now = (): number => {
    if (this.#nowMs() - this.#askedMs >= FRESH_MS) this.#ask().catch(() => undefined);
    return this.#highest;
  };

  async #ask(): Promise<void> {
    this.#askedMs = this.#nowMs();
    const { kind } = this.#finality;
    const header = kind === 'finalized' ? await this.#chain.header(kind) : await this.#chain.latest();
    const behind = this.#finality.kind === 'depth' ? this.#finality.blocks - 1 : 0;
    this.#highest = Math.max(this.#highest, Number(header?.number ?? 0n) - behind);
  }
}
