import { canonicalHeader, type Headers } from '../aws/canonical-request.ts';
import type { Credential } from '../aws/credential.ts';
import type { BucketStore, OpenBucket } from './bucket-store.ts';
import type { S3Call, S3Faults } from './faults.ts';
import { S3Error } from './s3-error.ts';

/** A request that is authentic and allowed, with all an operation needs. */
export interface Exchange {
  readonly call: S3Call;
  readonly caller: Credential;
  readonly query: ReadonlyMap<string, string>;
  readonly headers: Headers;
  /** Decoded; its hash is the signed one, its checksums are not verified yet. */
  readonly body: Uint8Array;
  readonly trailers: ReadonlyMap<string, string>;
  readonly store: BucketStore;
  readonly faults: S3Faults;
  readonly nowMs: number;
  /** Answer as if the write had happened, and do not write. */
  readonly lose: boolean;
}

/** Of a bucket that exists and that the caller may use. */
export interface BucketExchange extends Exchange {
  readonly bucket: OpenBucket;
  /** Bucket.now when the request began. */
  readonly since: number;
}

export interface ObjectExchange extends BucketExchange {
  readonly key: string;
}

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** A text is XML. */
  readonly body?: string | BodyStream;
}

export interface BodyStream {
  readonly bytes: AsyncIterable<Uint8Array>;
  readonly sizeBytes: number;
  /** Also if nothing was read; may be called twice. */
  close(): Promise<void>;
}

/** Trimmed; undefined if there is none. */
export function header(exchange: Pick<Exchange, 'headers'>, name: string): string | undefined {
  return canonicalHeader(exchange.headers, name);
}

/** A whole number in decimal digits. @throws {S3Error} InvalidArgument */
export function wholeNumber(name: string, text: string, min: number, max: number): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max)) {
    throw new S3Error('InvalidArgument', `${name} is a number from ${min} to ${max}`);
  }
  return value;
}

/** Page length: at most 1000. */
export function pageSize(exchange: Exchange, name: string): number {
  const text = exchange.query.get(name);
  return text === undefined ? 1000 : Math.min(1000, wholeNumber(name, text, 0, 2 ** 31 - 1));
}

export function versionHeader(bucket: OpenBucket, versionId: string | undefined): Record<string, string> {
  return bucket.settings.versioning === 'off' || versionId === undefined
    ? {}
    : { 'x-amz-version-id': versionId };
}
