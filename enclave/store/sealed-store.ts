/** Name to new bytes; undefined: the record goes. */
export type Changes = ReadonlyMap<string, Uint8Array | undefined>;

/**
 * Records that only this enclave can read. `put` and `delete` have happened durably when their promise resolves; after a
 * crash a record is the old or the new one, never a part.
 * A record's name is public; it is 1..200 characters of a-z, 0-9, '.', '-', '_' in segments joined by '/'.
 */
export interface SealedStore {
  /** A copy the caller owns. @throws {KmsError} STORE_FAILED if the record was changed, moved or cut */
  get(name: string): Promise<Uint8Array | undefined>;
  /** @throws {KmsError} STORE_FAILED, BAD_INPUT for a bad name, TOO_LARGE */
  put(name: string, bytes: Uint8Array): Promise<void>;
  /** No error if there is none. @throws {KmsError} STORE_FAILED */
  delete(name: string): Promise<void>;
  /** All of it or nothing. @throws {KmsError} as put() */
  change(changes: Changes): Promise<void>;
  /** Names that start with prefix, sorted. */
  list(prefix: string): Promise<readonly string[]>;
}

export const MAX_RECORD_BYTES = 512 * 2 ** 20;
