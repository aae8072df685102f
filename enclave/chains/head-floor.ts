import { KmsError } from '../../shared/errors.ts';
import { decode, encode, struct, u8, u64 } from '../../shared/wire/codec.ts';
import type { SealedStore } from '../store/sealed-store.ts';
import type { Block } from './block.ts';

const FORMAT = 1;
const floorCodec = struct({ format: u8, number: u64 });
/** So long heads gather before the newest of them is written down. */
const GATHER_MS = 2_000;
/** No head is believed that is so much younger, by the blocks' time, than what is durable. */
const MAX_LAG_S = 10n;

type Height = Pick<Block, 'number' | 'timestampS'>;

/**
 * The highest block of a chain that this node has accepted as its head, in this or an earlier life: of an earlier one up to the last
 * MAX_LAG_S of block time, so that where blocks are nearer to each other than that no request waits for the store. In tier 1: whoever
 * turns the bucket back brings an earlier floor back. Both give blocks that are at most maxHeadAge old, since enclave time does not
 * come from the bucket.
 */
export class HeadFloor {
  readonly #store: SealedStore;
  readonly #record: string;
  #newest: Height;
  /** Undefined: what an earlier life wrote, of unknown time. */
  #durable: Height | undefined;
  #writing: Promise<void> | undefined;
  #gathering: NodeJS.Timeout | undefined;

  private constructor(store: SealedStore, record: string, number: bigint) {
    this.#store = store;
    this.#record = record;
    this.#newest = { number, timestampS: 0n };
  }

  /** @param store tier 1. @throws {KmsError} STORE_FAILED */
  static async open(store: SealedStore, chainId: bigint): Promise<HeadFloor> {
    const record = `chains/${chainId}/head`;
    const sealed = await store.get(record);
    if (sealed === undefined) return new HeadFloor(store, record, 0n);
    const { format, number } = decode(floorCodec, sealed);
    if (format !== FORMAT) throw new KmsError('STORE_FAILED', 'the floor of a chain has an unknown format');
    return new HeadFloor(store, record, number);
  }

  /** 0 before any block was accepted. */
  get number(): bigint {
    return this.#newest.number;
  }

  /**
   * Never lowers it. When the promise resolves, what is durable lags by MAX_LAG_S at most; two seconds later, with a store that works, it
   * does not lag. One call at a time.
   * @throws {KmsError} STORE_FAILED; the floor then stays as it was
   */
  async raise({ number, timestampS }: Height): Promise<void> {
    if (number <= this.#newest.number) return;
    const height = { number, timestampS };
    if (this.#isFarFrom(height)) await this.#writing?.catch(() => undefined);
    if (this.#isFarFrom(height)) {
      // What was gathered is older: it must not come behind this one.
      clearTimeout(this.#gathering);
      this.#gathering = undefined;
      await this.#write(height);
    }
    this.#newest = height;
    this.#gather();
  }

  #gather(): void {
    this.#gathering ??= setTimeout(() => this.#catchUp(), GATHER_MS).unref();
  }

  #isFarFrom({ timestampS }: Height): boolean {
    return this.#durable === undefined || timestampS - this.#durable.timestampS > MAX_LAG_S;
  }

  #catchUp(): void {
    this.#gathering = undefined;
    if (this.#newest.number === this.#durable?.number) return;
    if (this.#writing !== undefined) {
      this.#gather();
      return;
    }
    // A store that fails is noticed by who has to wait for it.
    this.#writing = this.#write(this.#newest)
      .catch(() => undefined)
      .finally(() => {
        this.#writing = undefined;
      });
  }

  async #write(height: Height): Promise<void> {
    await this.#store.put(this.#record, encode(floorCodec, { format: FORMAT, number: height.number }));
    this.#durable = height;
  }
}
