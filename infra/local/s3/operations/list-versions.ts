import type { BucketExchange, Reply } from '../exchange.ts';
import { compareKeys } from '../names.ts';
import { S3Error } from '../s3-error.ts';
import { type Written, writeXml } from '../xml.ts';
import { facts } from './list-objects.ts';
import { commonPrefixes, listRequest, pageOf, shortText } from './page.ts';

export async function listObjectVersions(exchange: BucketExchange): Promise<Reply> {
  const { bucket } = exchange;
  const request = listRequest(exchange, 'max-keys');
  const { prefix, delimiter, limit, written, encodingType } = request;
  const keyMarker = shortText(exchange, 'key-marker');
  const versionMarker = shortText(exchange, 'version-id-marker');
  if (versionMarker !== undefined && keyMarker === undefined) {
    throw new S3Error('InvalidArgument', 'a version-id marker cannot be specified without a key marker');
  }
  const all = bucket.objects.keys().flatMap((key) => bucket.objects.versionsOf(key));
  // Within a key the newest comes first; a marker that is gone lets the rest of its key out.
  const marked = all.find((one) => one.key === keyMarker && one.versionId === versionMarker)?.sequence ?? 0;
  const page = pageOf(all, request, (key, one) => {
    if (keyMarker === undefined) return true;
    const order = compareKeys(key, keyMarker);
    return order > 0 || (order === 0 && one !== undefined && one.sequence < marked);
  });
  const last = page.entries.at(-1);
  const next = page.truncated ? last : undefined;
  const body = writeXml('ListVersionsResult', [
    ['Name', bucket.name],
    ['Prefix', written(prefix)],
    ['Delimiter', delimiter === '' ? undefined : written(delimiter)],
    ['KeyMarker', written(keyMarker ?? '')],
    ['VersionIdMarker', versionMarker ?? ''],
    ['EncodingType', encodingType],
    ['MaxKeys', limit],
    ['IsTruncated', page.truncated],
    ['NextKeyMarker', next === undefined ? undefined : written(next.key)],
    ['NextVersionIdMarker', next?.one?.versionId],
    ...page.entries.flatMap(({ one }): readonly Written[] => {
      if (one === undefined) return [];
      const isLatest = bucket.objects.versionsOf(one.key)[0] === one;
      const identity: readonly Written[] = [
        ['Key', written(one.key)],
        ['VersionId', one.versionId],
        ['IsLatest', isLatest],
      ];
      if (!one.marker) return [['Version', [...identity, ...facts(one)]]];
      return [['DeleteMarker', [...identity, ['LastModified', new Date(one.lastModifiedMs).toISOString()]]]];
    }),
    ...commonPrefixes(page, written),
  ]);
  return { status: 200, body };
}
