import type { BucketExchange, Reply } from '../exchange.ts';
import type { ObjectVersion } from '../object-version.ts';
import { S3Error } from '../s3-error.ts';
import { type Written, writeXml } from '../xml.ts';
import { commonPrefixes, isKeyAfter, listRequest, pageOf, shortText } from './page.ts';

export async function listObjectsV2(exchange: BucketExchange): Promise<Reply> {
  const { bucket, query } = exchange;
  const request = listRequest(exchange, 'max-keys');
  const { prefix, delimiter, limit, written, encodingType } = request;
  const token = query.get('continuation-token');
  const startAfter = shortText(exchange, 'start-after');
  // A token is the last entry, perhaps a common prefix; start-after is about keys.
  const marker = token === undefined ? undefined : readToken(token);
  const present = bucket.objects
    .keys()
    .map((key) => bucket.objects.current(key))
    .filter((version) => version !== undefined)
    .filter(({ key }) => token !== undefined || isKeyAfter(key, startAfter));
  const page = pageOf(exchange.faults.list?.(exchange.call, present) ?? present, request, (key) =>
    isKeyAfter(key, marker),
  );
  const last = page.entries.at(-1);
  const withOwner = query.get('fetch-owner') === 'true';
  const owner: Written = ['Owner', [['ID', bucket.settings.account]]];
  const body = writeXml('ListBucketResult', [
    ['Name', bucket.name],
    ['Prefix', written(prefix)],
    ['Delimiter', delimiter === '' ? undefined : written(delimiter)],
    ['StartAfter', startAfter === undefined ? undefined : written(startAfter)],
    ['ContinuationToken', token],
    ['EncodingType', encodingType],
    ['MaxKeys', limit],
    ['KeyCount', page.entries.length],
    ['IsTruncated', page.truncated],
    ['NextContinuationToken', page.truncated && last !== undefined ? writeToken(last.key) : undefined],
    ...page.entries.flatMap(({ one }): readonly Written[] =>
      one === undefined
        ? []
        : [['Contents', [['Key', written(one.key)], ...facts(one), ...(withOwner ? [owner] : [])]]],
    ),
    ...commonPrefixes(page, written),
  ]);
  return { status: 200, body };
}

/** What lists say about a version, besides its name. */
export function facts(version: ObjectVersion): readonly Written[] {
  const { checksum } = version;
  return [
    ['LastModified', new Date(version.lastModifiedMs).toISOString()],
    ['ETag', `"${version.etag}"`],
    ['ChecksumAlgorithm', checksum?.algorithm],
    ['ChecksumType', checksum?.type],
    ['Size', version.sizeBytes],
    ['StorageClass', 'STANDARD'],
  ];
}

function writeToken(key: string): string {
  return Buffer.from(key).toString('base64url');
}

function readToken(token: string): string {
  const key = Buffer.from(token, 'base64url').toString();
  if (key === '' || writeToken(key) !== token) {
    throw new S3Error('InvalidArgument', 'the continuation token provided is incorrect');
  }
  return key;
}
