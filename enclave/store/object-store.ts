/**
 * Where sealed bytes lie: an S3 bucket's part that belongs to one node. Whoever runs it may lose, show, hide or change anything; what
 * is read is authenticated above it. Keys are public: segments of a-z, 0-9, '.', '-', '_' joined by '/'.
 */
export interface ObjectStore {
  /** Undefined if there is none. @throws {KmsError} STORE_FAILED, UNAVAILABLE; TOO_LARGE above maxBytes */
  get(key: string, maxBytes: number): Promise<Uint8Array | undefined>;
  /** A new object, durable when the promise resolves; never replaces one. @throws {KmsError} STORE_FAILED, UNAVAILABLE */
  create(key: string, bytes: Uint8Array): Promise<'created' | 'exists'>;
  /** No error if there is none. @throws {KmsError} STORE_FAILED, UNAVAILABLE */
  delete(key: string): Promise<void>;
  /** Keys that start with prefix, sorted. @throws {KmsError} STORE_FAILED, UNAVAILABLE */
  list(prefix: string): Promise<readonly string[]>;
}
