import { type BucketExchange, header, type ObjectExchange, type Reply } from '../exchange.ts';
import { statedChecksum, verifyBody } from '../integrity.ts';
import { checkKey } from '../names.ts';
import { isVersionId } from '../object-version.ts';
import { S3Error } from '../s3-error.ts';
import { childText, malformed, parseXml, type Written, writeXml } from '../xml.ts';

const MAX_OBJECTS = 1000;

export async function deleteObject(exchange: ObjectExchange): Promise<Reply> {
  const { bucket, key, nowMs } = exchange;
  const asked = exchange.query.get('versionId');
  if (asked !== undefined && !isVersionId(asked)) {
    throw new S3Error('InvalidArgument', 'invalid version id specified');
  }
  const { versionId, marker } = await bucket.objects.delete(key, asked, bucket.settings.versioning, nowMs);
  return {
    status: 204,
    headers: {
      ...(versionId === undefined ? {} : { 'x-amz-version-id': versionId }),
      ...(marker ? { 'x-amz-delete-marker': 'true' } : {}),
    },
  };
}

/** Up to 1000 at once; one that fails does not stop the others. */
export async function deleteObjects(exchange: BucketExchange): Promise<Reply> {
  const { bucket, nowMs } = exchange;
  if (header(exchange, 'content-md5') === undefined && statedChecksum(exchange) === undefined) {
    throw new S3Error(
      'InvalidRequest',
      'missing required header for this request: Content-MD5 or a checksum',
    );
  }
  verifyBody(exchange);
  const root = parseXml(exchange.body);
  const objects = root.children.filter((one) => one.name === 'Object');
  if (root.name !== 'Delete' || objects.length === 0 || objects.length > MAX_OBJECTS) throw malformed();
  const named = objects.map((one) => ({ key: childText(one, 'Key'), asked: childText(one, 'VersionId') }));
  const results: Written[] = [];
  for (const { key, asked } of named) {
    if (key === undefined) throw malformed();
    checkKey(key);
    if (asked !== undefined && !isVersionId(asked)) {
      const content: Written[] = [
        ['Key', key],
        ['VersionId', asked],
        ['Code', 'NoSuchVersion'],
        ['Message', 'the specified version does not exist'],
      ];
      results.push(['Error', content]);
      continue;
    }
    const { versionId, marker } = await bucket.objects.delete(key, asked, bucket.settings.versioning, nowMs);
    results.push([
      'Deleted',
      [
        ['Key', key],
        ['VersionId', asked],
        ['DeleteMarker', marker ? true : undefined],
        ['DeleteMarkerVersionId', marker ? versionId : undefined],
      ],
    ]);
  }
  const quiet = childText(root, 'Quiet') === 'true';
  return {
    status: 200,
    body: writeXml('DeleteResult', quiet ? results.filter(([name]) => name === 'Error') : results),
  };
}
