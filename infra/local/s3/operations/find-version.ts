import type { BucketExchange } from '../exchange.ts';
import type { ReadableFile } from '../files.ts';
import { isVersionId, type ObjectVersion } from '../object-version.ts';
import { S3Error } from '../s3-error.ts';

/**
 * The version that a read is about.
 * @param versionId undefined: the newest
 * @throws {S3Error} NoSuchKey, NoSuchVersion, MethodNotAllowed for a delete marker, InvalidArgument
 */
export function findVersion(
  { bucket }: Pick<BucketExchange, 'bucket'>,
  key: string,
  versionId: string | undefined,
): ObjectVersion {
  if (versionId !== undefined && !isVersionId(versionId)) {
    throw new S3Error('InvalidArgument', 'invalid version id specified');
  }
  const versions = bucket.objects.versionsOf(key);
  const version = versionId === undefined ? versions[0] : versions.find((one) => one.versionId === versionId);
  if (version === undefined || version.marker) {
    const headers: Record<string, string> =
      version === undefined ? {} : { 'x-amz-delete-marker': 'true', 'x-amz-version-id': version.versionId };
    const details = { Key: key };
    if (versionId === undefined)
      throw new S3Error('NoSuchKey', 'the specified key does not exist', { headers, details });
    if (version === undefined)
      throw new S3Error('NoSuchVersion', 'the specified version does not exist', { details });
    throw new S3Error('MethodNotAllowed', 'the version is a delete marker', { headers });
  }
  return version;
}

/** With its open file; a version that is replaced meanwhile gives way to the newer one. */
export async function openVersion(
  exchange: Pick<BucketExchange, 'bucket'>,
  key: string,
  versionId: string | undefined,
): Promise<{ readonly version: ObjectVersion; readonly file: ReadableFile }> {
  for (let previous: ObjectVersion | undefined; ; ) {
    const version = findVersion(exchange, key, versionId);
    const file = await exchange.bucket.objects.openBody(version);
    if (file !== undefined) return { version, file };
    // It is being deleted: the file goes first.
    if (version === previous) throw new S3Error('NoSuchKey', 'the specified key does not exist');
    previous = version;
  }
}
