import type { Condition } from './bucket.ts';
import { type Exchange, header } from './exchange.ts';
import type { ObjectVersion } from './object-version.ts';
import { notImplemented } from './operation.ts';
import { S3Error } from './s3-error.ts';

/**
 * If-None-Match: * (create only) or If-Match: etag (replace this one) of a write.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
 * @throws {S3Error} NotImplemented for any other condition; the returned one PreconditionFailed, NoSuchKey,
 * ConditionalRequestConflict if the object was deleted after the request had begun
 */
export function writeCondition(exchange: Exchange): Condition {
  const noneMatch = header(exchange, 'if-none-match');
  const match = header(exchange, 'if-match');
  if (noneMatch === undefined && match === undefined) return () => {};
  if (noneMatch !== undefined && (noneMatch !== '*' || match !== undefined)) {
    throw notImplemented('a write with this If-None-Match');
  }
  const etag = unquoted(match ?? '');
  if (match !== undefined && !/^[0-9a-f]{32}(?:-\d{1,5})?$/.test(etag)) {
    throw notImplemented('a write with this If-Match');
  }
  return (current, deletedSince) => {
    if (deletedSince) {
      throw new S3Error('ConditionalRequestConflict', 'the object was deleted meanwhile; try again');
    }
    if (match === undefined) {
      if (current !== undefined) throw preconditionFailed('If-None-Match');
    } else if (current === undefined) {
      throw new S3Error('NoSuchKey', 'the specified key does not exist');
    } else if (current.etag !== etag) {
      throw preconditionFailed('If-Match');
    }
  };
}

/**
 * If-Match and If-None-Match of a read; `prefix` for those about the source of a copy.
 * @returns whether the client has this version already
 * @throws {S3Error} PreconditionFailed
 */
export function isUnmodified(exchange: Exchange, version: ObjectVersion, prefix = ''): boolean {
  const match = header(exchange, `${prefix}if-match`);
  const noneMatch = header(exchange, `${prefix}if-none-match`);
  if (match !== undefined && !names(match, version)) throw preconditionFailed('If-Match');
  return noneMatch !== undefined && names(noneMatch, version);
}

function names(list: string, version: ObjectVersion): boolean {
  return list.split(',').some((one) => one.trim() === '*' || unquoted(one.trim()) === version.etag);
}

export function preconditionFailed(condition: string): S3Error {
  return new S3Error('PreconditionFailed', 'at least one of the pre-conditions did not hold', {
    details: { Condition: condition },
  });
}

function unquoted(etag: string): string {
  return /^".*"$/.test(etag) ? etag.slice(1, -1) : etag;
}
