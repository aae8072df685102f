import { createHash } from 'node:crypto';
import { writeCondition } from '../conditions.ts';
import { type ObjectExchange, type Reply, versionHeader } from '../exchange.ts';
import { checksumHeaders, verifiedChecksum } from '../integrity.ts';
import { metadataOf } from '../metadata.ts';

export async function putObject(exchange: ObjectExchange): Promise<Reply> {
  const { key, body, bucket, since } = exchange;
  const condition = writeCondition(exchange);
  const checksum = verifiedChecksum(exchange);
  const etag = createHash('md5').update(body).digest('hex');
  const metadata = metadataOf(exchange);
  // Refuses early; what counts is the same question when the write takes effect.
  bucket.objects.check(key, since, condition);
  const headers = { etag: `"${etag}"`, ...checksumHeaders(checksum) };
  if (exchange.lose)
    return { status: 200, headers: { ...headers, ...versionHeader(bucket, 'f'.repeat(32)) } };
  const record = { key, marker: false, etag, lastModifiedMs: exchange.nowMs, metadata, checksum };
  const staged = await bucket.objects.staging.write(record, [body]);
  const { versionId } = await bucket.objects.commit(staged, bucket.settings.versioning, since, condition);
  return { status: 200, headers: { ...headers, ...versionHeader(bucket, versionId) } };
}
