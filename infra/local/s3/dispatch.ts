import type { OpenBucket } from './bucket-store.ts';
import type { BucketExchange, Exchange, ObjectExchange, Reply } from './exchange.ts';
import { header } from './exchange.ts';
import type { OperationName } from './operation.ts';
import { createBucket, getBucketVersioning, headBucket, putBucketVersioning } from './operations/buckets.ts';
import { completeMultipartUpload } from './operations/complete-upload.ts';
import { copyObject } from './operations/copy-object.ts';
import { deleteObject, deleteObjects } from './operations/delete-objects.ts';
import { getObject, headObject } from './operations/get-object.ts';
import { listObjectsV2 } from './operations/list-objects.ts';
import { listMultipartUploads, listParts } from './operations/list-uploads.ts';
import { listObjectVersions } from './operations/list-versions.ts';
import { putObject } from './operations/put-object.ts';
import { abortMultipartUpload, createMultipartUpload, uploadPart } from './operations/upload-parts.ts';
import { S3Error } from './s3-error.ts';

const onBuckets = {
  HeadBucket: headBucket,
  PutBucketVersioning: putBucketVersioning,
  GetBucketVersioning: getBucketVersioning,
  ListObjectsV2: listObjectsV2,
  ListObjectVersions: listObjectVersions,
  ListMultipartUploads: listMultipartUploads,
  DeleteObjects: deleteObjects,
} satisfies { readonly [O in OperationName]?: (exchange: BucketExchange) => Promise<Reply> };

const onObjects = {
  PutObject: putObject,
  CopyObject: copyObject,
  GetObject: getObject,
  HeadObject: headObject,
  DeleteObject: deleteObject,
  CreateMultipartUpload: createMultipartUpload,
  UploadPart: uploadPart,
  CompleteMultipartUpload: completeMultipartUpload,
  AbortMultipartUpload: abortMultipartUpload,
  ListParts: listParts,
} satisfies { readonly [O in OperationName]?: (exchange: ObjectExchange) => Promise<Reply> };

/**
 * The bucket, if the caller may use it. Undefined: the operation is to create it.
 * @throws {S3Error} NoSuchBucket, AccessDenied: only the account that owns a bucket may use it
 */
export function allowedBucket(
  exchange: Pick<Exchange, 'call' | 'caller' | 'store' | 'headers'>,
): OpenBucket | undefined {
  const { operation, bucket } = exchange.call;
  if (operation === 'CreateBucket') return undefined;
  const found = exchange.store.get(bucket);
  if (found === undefined) {
    throw new S3Error('NoSuchBucket', 'the specified bucket does not exist', {
      details: { BucketName: bucket },
    });
  }
  const { account } = found.settings;
  const expected = header(exchange, 'x-amz-expected-bucket-owner');
  if (expected !== undefined && !/^\d{12}$/.test(expected)) {
    throw new S3Error('InvalidRequest', 'the expected bucket owner is an account id of 12 digits');
  }
  if (account !== exchange.caller.account || (expected ?? account) !== account) {
    throw new S3Error('AccessDenied', 'access denied');
  }
  return found;
}

/** Carries the operation out. */
export function dispatch(exchange: Exchange, bucket: OpenBucket | undefined, since: number): Promise<Reply> {
  const { operation, key } = exchange.call;
  if (operation === 'CreateBucket') return createBucket(exchange);
  if (bucket === undefined) throw new S3Error('NoSuchBucket', 'the specified bucket does not exist');
  const within = { ...exchange, bucket, since };
  if (isOn(onBuckets, operation)) return onBuckets[operation](within);
  return onObjects[operation]({ ...within, key: key ?? '' });
}

function isOn<K extends string>(table: Readonly<Record<K, unknown>>, name: string): name is K {
  return Object.hasOwn(table, name);
}
