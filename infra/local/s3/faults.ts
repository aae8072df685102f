import type { ObjectVersion } from './object-version.ts';
import type { OperationName } from './operation.ts';

/** A request that is authentic and allowed, as a fault sees it. */
export interface S3Call {
  readonly operation: OperationName;
  readonly bucket: string;
  /** Undefined for operations on a bucket. */
  readonly key: string | undefined;
  readonly accessKeyId: string;
  readonly account: string;
}

/**
 * serve: as if there were no fault. cut: the connection breaks without an answer. lose: (PutObject only) answered like a
 * success, but nothing was written.
 */
export type Fate = 'serve' | 'cut' | 'lose';

/**
 * Faults of a server, for tests: each is asked at its point and may wait (slow), throw an S3Error (denied: AccessDenied;
 * throttled: SlowDown; full: ServiceUnavailable; broken: InternalError) or change what goes out.
 */
export interface S3Faults {
  /** Nothing has happened yet. */
  readonly before?: (call: S3Call) => Fate | Promise<Fate>;
  /** The effect is durable, the answer not sent; `lose` is `serve` here. */
  readonly after?: (call: S3Call) => Fate | Promise<Fate>;
  /** Other bytes of a body that GetObject sends, offset within the object; after fewer the connection breaks. */
  readonly corrupt?: (call: S3Call, bytes: Uint8Array, offset: number) => Uint8Array;
  /** What ListObjectsV2 (newest version of each key, no markers) believes to be in the bucket, in the order of keys. */
  readonly list?: (call: S3Call, versions: readonly ObjectVersion[]) => readonly ObjectVersion[];
}

export const noFaults: S3Faults = {};
