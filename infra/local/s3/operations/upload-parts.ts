import { createHash } from 'node:crypto';
import { type ChecksumAlgorithm, type ChecksumType, checksumAlgorithms } from '../checksum.ts';
import { header, type ObjectExchange, type Reply, wholeNumber } from '../exchange.ts';
import { checksumHeaders, statedChecksum, verifiedChecksum } from '../integrity.ts';
import { metadataOf } from '../metadata.ts';
import { S3Error } from '../s3-error.ts';
import { MAX_PARTS } from '../uploads.ts';
import { writeXml } from '../xml.ts';

/** @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html */
export async function createMultipartUpload(exchange: ObjectExchange): Promise<Reply> {
  const { bucket, key, nowMs } = exchange;
  if (exchange.body.length > 0) throw new S3Error('InvalidRequest', 'the start of an upload has no body');
  const named = header(exchange, 'x-amz-checksum-algorithm')?.toUpperCase();
  const algorithm = checksumAlgorithms.find((one) => one === (named ?? 'CRC64NVME'));
  if (algorithm === undefined) throw new S3Error('InvalidRequest', 'unknown checksum algorithm');
  const type = typeOf(algorithm, header(exchange, 'x-amz-checksum-type')?.toUpperCase());
  const upload = await bucket.uploads.create(
    { key, metadata: metadataOf(exchange), lastModifiedMs: nowMs },
    { algorithm, type },
  );
  return {
    status: 200,
    headers:
      named === undefined ? {} : { 'x-amz-checksum-algorithm': algorithm, 'x-amz-checksum-type': type },
    body: writeXml('InitiateMultipartUploadResult', [
      ['Bucket', bucket.name],
      ['Key', key],
      ['UploadId', upload.id],
    ]),
  };
}

/** Hashes cannot be combined into that of the whole; CRC64NVME always is. */
function typeOf(algorithm: ChecksumAlgorithm, named: string | undefined): ChecksumType {
  const fallback = algorithm === 'CRC64NVME' ? 'FULL_OBJECT' : 'COMPOSITE';
  const type = named ?? fallback;
  const impossible =
    (algorithm === 'CRC64NVME' && type === 'COMPOSITE') ||
    (algorithm.startsWith('SHA') && type === 'FULL_OBJECT');
  if (impossible || (type !== 'COMPOSITE' && type !== 'FULL_OBJECT')) {
    throw new S3Error('InvalidRequest', `the checksum type cannot be used with ${algorithm}`);
  }
  return type;
}

export async function uploadPart(exchange: ObjectExchange): Promise<Reply> {
  const { bucket, key, body, query, nowMs } = exchange;
  const number = wholeNumber('partNumber', query.get('partNumber') ?? '', 1, MAX_PARTS);
  const uploadId = query.get('uploadId') ?? '';
  const { algorithm } = bucket.uploads.get(key, uploadId).checksum;
  const stated = statedChecksum(exchange);
  if (stated !== undefined && stated.algorithm !== algorithm && algorithm !== 'CRC64NVME') {
    throw new S3Error('InvalidRequest', `the upload was started with ${algorithm}, not ${stated.algorithm}`);
  }
  const checksum = verifiedChecksum(exchange, algorithm);
  const etag = createHash('md5').update(body).digest('hex');
  const record = { key, marker: false, etag, lastModifiedMs: nowMs, metadata: {}, checksum };
  const staged = await bucket.objects.staging.write(record, [body]);
  await bucket.uploads.addPart(key, uploadId, number, staged);
  const { 'x-amz-checksum-type': _, ...headers } = checksumHeaders(checksum);
  return { status: 200, headers: { etag: `"${etag}"`, ...headers } };
}

export async function abortMultipartUpload(exchange: ObjectExchange): Promise<Reply> {
  await exchange.bucket.uploads.abort(exchange.key, exchange.query.get('uploadId') ?? '');
  return { status: 204 };
}
