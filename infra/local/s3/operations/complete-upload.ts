import { createHash } from 'node:crypto';
import { readSlice } from '../body.ts';
import { type Checksum, checksumAlgorithms, headerOf, runningChecksum } from '../checksum.ts';
import { writeCondition } from '../conditions.ts';
import { header, type ObjectExchange, type Reply, versionHeader, wholeNumber } from '../exchange.ts';
import { badDigest } from '../integrity.ts';
import type { ObjectVersion } from '../object-version.ts';
import { S3Error } from '../s3-error.ts';
import { MAX_PARTS, type Part, type Upload } from '../uploads.ts';
import { childText, type Element, malformed, parseXml, writeXml } from '../xml.ts';

export const MIN_PART_BYTES = 5 * 2 ** 20;
export const MAX_OBJECT_BYTES = 2 ** 30;

interface NamedPart {
  readonly number: number;
  readonly element: Element;
}

export async function completeMultipartUpload(exchange: ObjectExchange): Promise<Reply> {
  const { bucket, key, since } = exchange;
  const uploadId = exchange.query.get('uploadId') ?? '';
  const named = parseParts(exchange.body);
  const condition = writeCondition(exchange);
  const { objects, uploads } = bucket;
  // Repeated because the first answer was lost.
  const made = objects.versionsOf(key).find((version) => version.uploadId === uploadId);
  if (made !== undefined) return replyOf(exchange, made);
  const version = await uploads.complete(key, uploadId, async (upload) => {
    const parts = named.map((one) => checkedPart(upload, one));
    checkSizes(parts, header(exchange, 'x-amz-mp-object-size'));
    objects.check(key, since, condition);
    const checksum = await checksumOfParts(exchange, upload, parts);
    const digests = Buffer.concat(parts.map(({ header }) => Buffer.from(header.etag, 'hex')));
    const record = {
      key,
      marker: false,
      etag: `${createHash('md5').update(digests).digest('hex')}-${parts.length}`,
      lastModifiedMs: exchange.nowMs,
      metadata: upload.metadata,
      checksum,
      uploadId,
      parts: parts.length,
    };
    const staged = await objects.staging.write(record, bytesOfParts(exchange, upload, parts));
    return objects.commit(staged, bucket.settings.versioning, since, condition);
  });
  return replyOf(exchange, version);
}

function replyOf({ bucket, key }: ObjectExchange, version: ObjectVersion): Reply {
  const { checksum } = version;
  return {
    status: 200,
    headers: versionHeader(bucket, version.versionId),
    body: writeXml('CompleteMultipartUploadResult', [
      ['Location', `/${bucket.name}/${key}`],
      ['Bucket', bucket.name],
      ['Key', key],
      ['ETag', `"${version.etag}"`],
      [`Checksum${checksum?.algorithm ?? ''}`, checksum?.value],
      ['ChecksumType', checksum?.type],
    ]),
  };
}

/** @throws {S3Error} MalformedXML, InvalidPartOrder */
function parseParts(body: Uint8Array): readonly NamedPart[] {
  const root = parseXml(body);
  const parts = root.children.map((element) => {
    if (element.name !== 'Part') throw malformed();
    const number = wholeNumber('PartNumber', childText(element, 'PartNumber') ?? '', 1, MAX_PARTS);
    return { number, element };
  });
  if (root.name !== 'CompleteMultipartUpload' || parts.length === 0 || parts.length > MAX_PARTS)
    throw malformed();
  if (parts.some(({ number }, i) => i > 0 && number <= parts[i - 1]!.number)) {
    throw new S3Error('InvalidPartOrder', 'the list of parts was not in ascending order');
  }
  return parts;
}

/** The part that was uploaded under that number, if it is the one the client means. */
function checkedPart(upload: Upload, { number, element }: NamedPart): Part {
  const part = upload.parts.get(number);
  const etag = childText(element, 'ETag')?.replace(/^"(.*)"$/, '$1');
  const checksum = part?.header.checksum;
  const wrong = checksumAlgorithms.some((algorithm) => {
    const stated = childText(element, `Checksum${algorithm}`);
    return stated !== undefined && (checksum?.algorithm !== algorithm || checksum.value !== stated);
  });
  if (part === undefined || etag !== part.header.etag || wrong) {
    throw new S3Error('InvalidPart', `part ${number} was not uploaded, or with another ETag or checksum`);
  }
  const { algorithm, type } = upload.checksum;
  if (type === 'COMPOSITE' && childText(element, `Checksum${algorithm}`) === undefined) {
    throw new S3Error('InvalidRequest', `part ${number} needs its ${algorithm} checksum`);
  }
  return part;
}

function checkSizes(parts: readonly Part[], stated: string | undefined): void {
  if (parts.slice(0, -1).some(({ sizeBytes }) => sizeBytes < MIN_PART_BYTES)) {
    throw new S3Error('EntityTooSmall', 'every part but the last has at least 5 MiB');
  }
  const total = parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  if (total > MAX_OBJECT_BYTES) throw new S3Error('EntityTooLarge', 'the object is larger than 1 GiB');
  if (stated !== undefined && wholeNumber('x-amz-mp-object-size', stated, 0, MAX_OBJECT_BYTES) !== total) {
    throw new S3Error('InvalidRequest', 'x-amz-mp-object-size is not the size of the parts');
  }
}

/** @throws {S3Error} BadDigest if the client expects another one */
async function checksumOfParts(
  exchange: ObjectExchange,
  upload: Upload,
  parts: readonly Part[],
): Promise<Checksum> {
  const { algorithm, type } = upload.checksum;
  const running = runningChecksum(algorithm);
  if (type === 'COMPOSITE') {
    for (const { header } of parts) running.update(Buffer.from(header.checksum?.value ?? '', 'base64'));
  } else {
    for await (const chunk of bytesOfParts(exchange, upload, parts)) running.update(chunk);
  }
  const digest = Buffer.from(running.digest()).toString('base64');
  const value = type === 'COMPOSITE' ? `${digest}-${parts.length}` : digest;
  for (const one of checksumAlgorithms) {
    const stated = header(exchange, headerOf(one));
    if (stated !== undefined && (one !== algorithm || stated !== value)) throw badDigest(one);
  }
  return { algorithm, value, type };
}

async function* bytesOfParts(
  { bucket }: ObjectExchange,
  upload: Upload,
  parts: readonly Part[],
): AsyncGenerator<Uint8Array> {
  for (const part of parts) {
    const file = await bucket.uploads.openPart(upload, part);
    yield* readSlice(file, part.bodyOffset, part.bodyOffset + part.sizeBytes);
  }
}
