import { type BucketExchange, type ObjectExchange, pageSize, type Reply, wholeNumber } from '../exchange.ts';
import { compareKeys } from '../names.ts';
import { MAX_PARTS } from '../uploads.ts';
import { type Written, writeXml } from '../xml.ts';
import { shortText } from './page.ts';

export async function listMultipartUploads(exchange: BucketExchange): Promise<Reply> {
  const { bucket } = exchange;
  const prefix = shortText(exchange, 'prefix') ?? '';
  const keyMarker = shortText(exchange, 'key-marker');
  const idMarker = shortText(exchange, 'upload-id-marker');
  const limit = pageSize(exchange, 'max-uploads');
  const after = bucket.uploads
    .all()
    .filter(({ key }) => key.startsWith(prefix))
    .filter(({ key, id }) => {
      const order = keyMarker === undefined ? 1 : compareKeys(key, keyMarker);
      return order > 0 || (order === 0 && idMarker !== undefined && id > idMarker);
    })
    .sort((a, b) => compareKeys(a.key, b.key) || (a.id < b.id ? -1 : 1));
  const page = after.slice(0, limit);
  const truncated = limit > 0 && after.length > limit;
  const body = writeXml('ListMultipartUploadsResult', [
    ['Bucket', bucket.name],
    ['KeyMarker', keyMarker ?? ''],
    ['UploadIdMarker', idMarker ?? ''],
    ['NextKeyMarker', truncated ? page.at(-1)?.key : undefined],
    ['NextUploadIdMarker', truncated ? page.at(-1)?.id : undefined],
    ['Prefix', prefix],
    ['MaxUploads', limit],
    ['IsTruncated', truncated],
    ...page.map(
      ({ key, id, initiatedMs, checksum }): Written => [
        'Upload',
        [
          ['Key', key],
          ['UploadId', id],
          ['StorageClass', 'STANDARD'],
          ['Initiated', new Date(initiatedMs).toISOString()],
          ['ChecksumAlgorithm', checksum.algorithm],
          ['ChecksumType', checksum.type],
        ],
      ],
    ),
  ]);
  return { status: 200, body };
}

export async function listParts(exchange: ObjectExchange): Promise<Reply> {
  const { bucket, key, query } = exchange;
  const upload = bucket.uploads.get(key, query.get('uploadId') ?? '');
  const marker = wholeNumber('part-number-marker', query.get('part-number-marker') ?? '0', 0, MAX_PARTS);
  const limit = pageSize(exchange, 'max-parts');
  const after = [...upload.parts.values()]
    .filter(({ number }) => number > marker)
    .sort((a, b) => a.number - b.number);
  const page = after.slice(0, limit);
  const truncated = limit > 0 && after.length > limit;
  const body = writeXml('ListPartsResult', [
    ['Bucket', bucket.name],
    ['Key', key],
    ['UploadId', upload.id],
    ['StorageClass', 'STANDARD'],
    ['PartNumberMarker', marker],
    ['NextPartNumberMarker', truncated ? page.at(-1)?.number : undefined],
    ['MaxParts', limit],
    ['IsTruncated', truncated],
    ['ChecksumAlgorithm', upload.checksum.algorithm],
    ['ChecksumType', upload.checksum.type],
    ...page.map(
      ({ number, sizeBytes, header }): Written => [
        'Part',
        [
          ['PartNumber', number],
          ['LastModified', new Date(header.lastModifiedMs).toISOString()],
          ['ETag', `"${header.etag}"`],
          ['Size', sizeBytes],
          [`Checksum${header.checksum?.algorithm ?? ''}`, header.checksum?.value],
        ],
      ],
    ),
  ]);
  return { status: 200, body };
}
