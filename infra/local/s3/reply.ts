import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Reply } from './exchange.ts';
import { S3Error } from './s3-error.ts';
import { writeErrorXml } from './xml.ts';

/** What went wrong, as S3 says it; of an error of the server itself nothing goes out but that there was one. */
export function errorReply(error: unknown, target: string, requestId: string): Reply {
  const known = error instanceof S3Error ? error : internal(error);
  const body = writeErrorXml([
    ['Code', known.code],
    ['Message', known.message],
    ...Object.entries(known.details),
    ['Resource', target.split('?')[0] ?? ''],
    ['RequestId', requestId],
    ['HostId', 'local'],
  ]);
  return { status: known.status, headers: known.headers, body };
}

function internal(error: unknown): S3Error {
  const full =
    error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
  return full
    ? new S3Error('ServiceUnavailable', 'the disk is full; make room and try again')
    : new S3Error('InternalError', 'we encountered an internal error; please try again');
}

/** Never fails: a client that is gone has its connection closed. */
export async function send(
  request: IncomingMessage,
  response: ServerResponse,
  reply: Reply,
  requestId: string,
): Promise<void> {
  const { status, headers, body } = reply;
  response.setHeader('x-amz-request-id', requestId);
  response.setHeader('server', 'kms-local-s3');
  try {
    for (const [name, value] of Object.entries(headers ?? {})) response.setHeader(name, value);
    response.statusCode = status;
    const bare = request.method === 'HEAD' || status === 204 || status === 304;
    if (body === undefined || bare) {
      if (body === undefined && !bare) response.setHeader('content-length', '0');
      response.end();
    } else if (typeof body === 'string') {
      response.setHeader('content-type', 'application/xml');
      response.setHeader('content-length', `${Buffer.byteLength(body)}`);
      response.end(body);
    } else {
      response.setHeader('content-length', `${body.sizeBytes}`);
      await pipeline(Readable.from(body.bytes, { objectMode: false }), response);
    }
  } catch {
    request.socket.destroy();
  } finally {
    await release(reply);
  }
}

/** A reply that is not sent, or was. */
export async function release({ body }: Reply): Promise<void> {
  if (typeof body === 'object') await body.close();
}
