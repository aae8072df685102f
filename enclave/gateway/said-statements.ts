import type { Digest } from '../../shared/ids.ts';
import { bytes, type Codec, decode, encode, fixedBytes, struct } from '../../shared/wire/codec.ts';
import type { SealedStore } from '../store/sealed-store.ts';
import { Ongoing } from './ongoing.ts';

/** What a node says about a command, and what it signs for it. */
export interface SaidStatement {
  /** `abi.encode` of it. */
  readonly statement: Uint8Array;
  /** 32 bytes. */
  readonly digest: Uint8Array;
}

const MAX_STATEMENT_BYTES = 4096;

const saidCodec: Codec<SaidStatement> = struct<SaidStatement>({
  statement: bytes(MAX_STATEMENT_BYTES),
  digest: fixedBytes(32),
});

/**
 * One statement a command, whatever the chain shows later and in every life of the node: `Keys` counts the first one of a party, and
 * takes a second one for evidence against it.
 */
export class SaidStatements {
  readonly #store: SealedStore;
  readonly #ongoing = new Ongoing<SaidStatement>();

  /** @param store tier 2 */
  constructor(store: SealedStore) {
    this.#store = store;
  }

  /**
   * @param command its commitment
   * @returns this statement, or the one that was said about the command before; durable
   * @throws {KmsError} STORE_FAILED, BAD_ENCODING
   */
  first(command: Digest, statement: SaidStatement): Promise<SaidStatement> {
    return this.#ongoing.get(command, async () => {
      const name = `commands/${command}`;
      const known = await this.#store.get(name);
      if (known !== undefined) return decode(saidCodec, known);
      await this.#store.put(name, encode(saidCodec, statement));
      return statement;
    });
  }
}
