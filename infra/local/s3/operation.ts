import { S3Error } from './s3-error.ts';

/** How an operation is told from the others, and what it takes; what is not here is NotImplemented, not ignored. */
interface OperationShape {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  readonly on: 'bucket' | 'object';
  /** The query parameter that names it. */
  readonly by?: string;
  /** Other query parameters. */
  readonly takes?: readonly string[];
  /** If-Match and If-None-Match. */
  readonly conditional?: true;
  readonly range?: true;
  /** Has `x-amz-copy-source`. */
  readonly copies?: true;
}

const listing = ['prefix', 'delimiter', 'encoding-type'];

const operations = {
  CreateBucket: { method: 'PUT', on: 'bucket' },
  HeadBucket: { method: 'HEAD', on: 'bucket' },
  PutBucketVersioning: { method: 'PUT', on: 'bucket', by: 'versioning' },
  GetBucketVersioning: { method: 'GET', on: 'bucket', by: 'versioning' },
  ListObjectsV2: {
    method: 'GET',
    on: 'bucket',
    by: 'list-type',
    takes: [...listing, 'max-keys', 'continuation-token', 'start-after', 'fetch-owner'],
  },
  ListObjectVersions: {
    method: 'GET',
    on: 'bucket',
    by: 'versions',
    takes: [...listing, 'max-keys', 'key-marker', 'version-id-marker'],
  },
  ListMultipartUploads: {
    method: 'GET',
    on: 'bucket',
    by: 'uploads',
    takes: ['prefix', 'max-uploads', 'key-marker', 'upload-id-marker'],
  },
  DeleteObjects: { method: 'POST', on: 'bucket', by: 'delete' },
  PutObject: { method: 'PUT', on: 'object', conditional: true },
  CopyObject: { method: 'PUT', on: 'object', conditional: true, copies: true },
  GetObject: { method: 'GET', on: 'object', takes: ['versionId'], conditional: true, range: true },
  HeadObject: { method: 'HEAD', on: 'object', takes: ['versionId'], conditional: true, range: true },
  DeleteObject: { method: 'DELETE', on: 'object', takes: ['versionId'] },
  CreateMultipartUpload: { method: 'POST', on: 'object', by: 'uploads' },
  UploadPart: { method: 'PUT', on: 'object', by: 'partNumber', takes: ['uploadId'] },
  CompleteMultipartUpload: { method: 'POST', on: 'object', by: 'uploadId', conditional: true },
  AbortMultipartUpload: { method: 'DELETE', on: 'object', by: 'uploadId' },
  ListParts: {
    method: 'GET',
    on: 'object',
    by: 'uploadId',
    takes: ['max-parts', 'part-number-marker'],
  },
} as const satisfies Readonly<Record<string, OperationShape>>;

export type OperationName = keyof typeof operations;

const shapes: readonly (readonly [OperationName, OperationShape])[] = Object.entries(operations).filter(
  (entry): entry is [OperationName, (typeof operations)[OperationName]] => entry[0] in operations,
);

/** `x-amz-` headers that some operation heeds. */
const knownHeaders =
  /^x-amz-(?:date|content-sha256|security-token|user-agent|decoded-content-length|trailer|expected-bucket-owner|sdk-checksum-algorithm|checksum-(?:crc32|crc32c|crc64nvme|sha1|sha256|mode|algorithm|type)|mp-object-size|copy-source|copy-source-if-(?:none-)?match|metadata-directive|meta-.*)$/;
const unheeded = ['if-modified-since', 'if-unmodified-since'];

/**
 * Which operation a request asks for.
 * @throws {S3Error} NotImplemented for one that S3 may have and this server has not; MethodNotAllowed
 */
export function operationOf(
  method: string,
  on: 'bucket' | 'object',
  query: ReadonlyMap<string, string>,
  headerNames: readonly string[],
): OperationName {
  const copies = headerNames.includes('x-amz-copy-source');
  const possible = shapes.filter(([, shape]) => shape.method === method && shape.on === on);
  if (possible.length === 0) throw new S3Error('MethodNotAllowed', 'no operation has this method');
  const found =
    possible.find(([, shape]) => shape.by !== undefined && query.has(shape.by)) ??
    possible.find(([, shape]) => shape.by === undefined && (shape.copies ?? false) === copies);
  if (found === undefined) throw notImplemented('the operation');
  const [name, shape] = found;
  for (const parameter of query.keys()) {
    // The SDK names the operation for the logs of the service.
    if (parameter !== 'x-id' && parameter !== shape.by && !shape.takes?.includes(parameter)) {
      throw notImplemented(`the query parameter ${parameter} of ${name}`);
    }
  }
  for (const header of headerNames) {
    const refused =
      (header.startsWith('x-amz-') && !knownHeaders.test(header)) ||
      unheeded.includes(header) ||
      (header.startsWith('x-amz-copy-source') && !shape.copies) ||
      ((header === 'if-match' || header === 'if-none-match') && !shape.conditional) ||
      (header === 'range' && !shape.range);
    if (refused) throw notImplemented(`the header ${header} of ${name}`);
  }
  if (name === 'ListObjectsV2' && query.get('list-type') !== '2') throw notImplemented('ListObjects');
  return name;
}

export function notImplemented(what: string): S3Error {
  return new S3Error('NotImplemented', `${what.slice(0, 100)} is not implemented`);
}
