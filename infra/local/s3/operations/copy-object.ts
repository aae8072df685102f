import { readSlice } from '../body.ts';
import { isUnmodified, preconditionFailed, writeCondition } from '../conditions.ts';
import { header, type ObjectExchange, type Reply, versionHeader } from '../exchange.ts';
import { checksumHeaders } from '../integrity.ts';
import { metadataOf } from '../metadata.ts';
import { checkKey } from '../names.ts';
import { notImplemented } from '../operation.ts';
import { S3Error } from '../s3-error.ts';
import { writeXml } from '../xml.ts';
import { openVersion } from './find-version.ts';

/** Within what the caller's account owns. The checksum of the source stays that of the copy. */
export async function copyObject(exchange: ObjectExchange): Promise<Reply> {
  const { key, bucket, since } = exchange;
  if (exchange.body.length > 0) throw new S3Error('InvalidRequest', 'a copy has no body');
  const directive = header(exchange, 'x-amz-metadata-directive') ?? 'COPY';
  if (directive !== 'COPY' && directive !== 'REPLACE') {
    throw new S3Error('InvalidArgument', 'unknown metadata directive');
  }
  if (header(exchange, 'x-amz-checksum-algorithm') !== undefined)
    throw notImplemented('a copy with a new checksum');
  const condition = writeCondition(exchange);
  const from = sourceOf(header(exchange, 'x-amz-copy-source') ?? '');
  if (
    from.bucket === bucket.name &&
    from.key === key &&
    from.versionId === undefined &&
    directive === 'COPY'
  ) {
    throw new S3Error('InvalidRequest', 'a copy onto itself must change the metadata');
  }
  const source = exchange.store.get(from.bucket);
  if (source === undefined) throw new S3Error('NoSuchBucket', 'the source bucket does not exist');
  if (source.settings.account !== exchange.caller.account) throw new S3Error('AccessDenied', 'access denied');
  const { version, file } = await openVersion({ bucket: source }, from.key, from.versionId);
  const end = version.bodyOffset + version.sizeBytes;
  const body = readSlice(file, version.bodyOffset, end);
  try {
    if (isUnmodified(exchange, version, 'x-amz-copy-source-')) throw preconditionFailed('If-None-Match');
    const { etag, checksum } = version;
    const metadata = directive === 'COPY' ? version.metadata : metadataOf(exchange);
    const record = { key, marker: false, etag, lastModifiedMs: exchange.nowMs, metadata };
    const staged = await bucket.objects.staging.write(
      checksum === undefined ? record : { ...record, checksum },
      body,
    );
    const { versionId } = await bucket.objects.commit(staged, bucket.settings.versioning, since, condition);
    return {
      status: 200,
      headers: {
        ...versionHeader(bucket, versionId),
        ...(source.settings.versioning === 'off'
          ? {}
          : { 'x-amz-copy-source-version-id': version.versionId }),
      },
      body: writeXml('CopyObjectResult', [
        ['LastModified', new Date(exchange.nowMs).toISOString()],
        ['ETag', `"${etag}"`],
        ...Object.entries(checksumHeaders(checksum)).map(
          ([name, value]) => [elementOf(name), value] as const,
        ),
      ]),
    };
  } finally {
    await file.close();
  }
}

/** `/bucket/key?versionId=...`, percent-encoded, with or without the first slash. */
function sourceOf(text: string): { bucket: string; key: string; versionId: string | undefined } {
  const [, bucket, path, versionId] =
    /^\/?([a-z0-9.-]{3,63})\/([^?]+)(?:\?versionId=([^&]*))?$/.exec(text) ?? [];
  if (bucket === undefined || path === undefined) {
    throw new S3Error('InvalidArgument', 'x-amz-copy-source is bucket/key, percent-encoded');
  }
  try {
    const key = decodeURIComponent(path);
    checkKey(key);
    return { bucket, key, versionId };
  } catch (cause) {
    throw new S3Error('InvalidArgument', 'the key in x-amz-copy-source is invalid', { cause });
  }
}

/** x-amz-checksum-crc32 is ChecksumCRC32 in XML. */
function elementOf(name: string): string {
  const algorithm = name.slice('x-amz-checksum-'.length);
  return `Checksum${algorithm === 'type' ? 'Type' : algorithm.toUpperCase()}`;
}
