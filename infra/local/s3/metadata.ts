import { type Exchange, header } from './exchange.ts';
import { S3Error } from './s3-error.ts';

const MAX_USER_METADATA_BYTES = 2048;
const MAX_HEADER_BYTES = 1024;
const systemHeaders = ['cache-control', 'content-disposition', 'content-language', 'content-type', 'expires'];

/**
 * The headers of a write that come back with the object.
 * @throws {S3Error} MetadataTooLarge
 */
export function metadataOf(exchange: Exchange): Readonly<Record<string, string>> {
  const metadata: Record<string, string> = {};
  let userBytes = 0;
  for (const name of Object.keys(exchange.headers).filter((one) => one.startsWith('x-amz-meta-'))) {
    const value = header(exchange, name) ?? '';
    metadata[name] = value;
    userBytes += name.length - 'x-amz-meta-'.length + Buffer.byteLength(value);
  }
  if (userBytes > MAX_USER_METADATA_BYTES) throw tooLarge();
  for (const name of systemHeaders) {
    const value = header(exchange, name);
    if (value !== undefined && value.length > MAX_HEADER_BYTES) throw tooLarge();
    if (value !== undefined) metadata[name] = value;
  }
  const encoding = (header(exchange, 'content-encoding') ?? '')
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '' && one !== 'aws-chunked');
  if (encoding.length > 0) metadata['content-encoding'] = encoding.join(',');
  metadata['content-type'] ??= 'binary/octet-stream';
  return metadata;
}

function tooLarge(): S3Error {
  return new S3Error('MetadataTooLarge', 'your metadata headers exceed the maximum allowed metadata size');
}
