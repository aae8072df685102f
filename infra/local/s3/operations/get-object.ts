import { readSlice } from '../body.ts';
import { isUnmodified } from '../conditions.ts';
import { header, type ObjectExchange, type Reply, versionHeader } from '../exchange.ts';
import { checksumHeaders } from '../integrity.ts';
import type { ObjectVersion } from '../object-version.ts';
import { S3Error } from '../s3-error.ts';
import { findVersion, openVersion } from './find-version.ts';

export async function headObject(exchange: ObjectExchange): Promise<Reply> {
  const version = findVersion(exchange, exchange.key, exchange.query.get('versionId'));
  const { from, to, ...reply } = describe(exchange, version);
  const length = reply.status === 304 ? {} : { 'content-length': `${to - from}` };
  return { status: reply.status, headers: { ...reply.headers, ...length } };
}

export async function getObject(exchange: ObjectExchange): Promise<Reply> {
  const { version, file } = await openVersion(exchange, exchange.key, exchange.query.get('versionId'));
  try {
    const { from, to, status, headers } = describe(exchange, version);
    if (status === 304) {
      await file.close();
      return { status, headers };
    }
    const offset = version.bodyOffset;
    const bytes = corrupted(exchange, readSlice(file, offset + from, offset + to), from);
    return { status, headers, body: { bytes, sizeBytes: to - from, close: () => file.close() } };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Status and headers, and which bytes of the object. */
function describe(
  exchange: ObjectExchange,
  version: ObjectVersion,
): { status: number; headers: Record<string, string>; from: number; to: number } {
  const headers: Record<string, string> = {
    etag: `"${version.etag}"`,
    'last-modified': new Date(version.lastModifiedMs).toUTCString(),
    ...versionHeader(exchange.bucket, version.versionId),
  };
  if (isUnmodified(exchange, version)) return { status: 304, headers, from: 0, to: 0 };
  Object.assign(headers, version.metadata, { 'accept-ranges': 'bytes' });
  const range = rangeOf(header(exchange, 'range'), version.sizeBytes);
  if (range !== undefined) {
    const [from, to] = range;
    headers['content-range'] = `bytes ${from}-${to - 1}/${version.sizeBytes}`;
    return { status: 206, headers, from, to };
  }
  if (header(exchange, 'x-amz-checksum-mode') === 'ENABLED') {
    Object.assign(headers, checksumHeaders(version.checksum));
  }
  return { status: 200, headers, from: 0, to: version.sizeBytes };
}

/**
 * First byte, and the one after the last. Undefined: the whole object, also for what is no range of RFC 9110 section 14.
 * @throws {S3Error} InvalidRange
 */
export function rangeOf(
  text: string | undefined,
  size: number,
): readonly [from: number, to: number] | undefined {
  const parts = /^bytes=(?:(\d{1,15})-(\d{1,15})?|-(\d{1,15}))$/.exec(text ?? '');
  if (parts === null) return undefined;
  const [, first, last, suffix] = parts;
  const from = first === undefined ? Math.max(0, size - Number(suffix)) : Number(first);
  const to = Math.min(size, last === undefined ? size : Number(last) + 1);
  if (last !== undefined && Number(last) < from) return undefined;
  if (from >= to) {
    throw new S3Error('InvalidRange', 'the requested range is not satisfiable', {
      headers: { 'content-range': `bytes */${size}` },
    });
  }
  return [from, to];
}

/** Bytes of the object from an offset on; a fault may change them, and the connection breaks if it changes their number. */
async function* corrupted(
  exchange: ObjectExchange,
  bytes: AsyncIterable<Uint8Array>,
  from: number,
): AsyncGenerator<Uint8Array> {
  const { corrupt } = exchange.faults;
  let offset = from;
  for await (const chunk of bytes) {
    const sent = corrupt === undefined ? chunk : corrupt(exchange.call, chunk, offset);
    yield sent;
    if (sent.length !== chunk.length) throw new RangeError('a fault cut the body');
    offset += chunk.length;
  }
}
