import { KmsError } from '../../shared/errors.ts';
import { decode, encode, struct, u8, u64 } from '../../shared/wire/codec.ts';
import type { SealedStore } from '../store/sealed-store.ts';

const FORMAT = 1;
const floorCodec = struct({ format: u8, number: u64 });

/**
 * The highest block of a chain that this node has accepted as its head, in this or an earlier life. It is durable before the
 * head is believed. In tier 1: whoever turns the bucket back brings an earlier floor back, and with it blocks that are at
 * most maxHeadAge old, since enclave time does not come from the bucket.
 */
export class HeadFloor {
  readonly #store: SealedStore;
  readonly #record: string;
  #number: bigint;

  private constructor(store: SealedStore, record: string, number: bigint) {
    this.#store = store;
    this.#record = record;
    this.#number = number;
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
    return this.#number;
  }

  /** Durable when the promise resolves; never lowers it. One call at a time. @throws {KmsError} STORE_FAILED */
  async raise(number: bigint): Promise<void> {
    if (number <= this.#number) return;
    await this.#store.put(this.#record, encode(floorCodec, { format: FORMAT, number }));
    this.#number = number;
  }
}
