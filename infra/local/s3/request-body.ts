import type { IncomingMessage } from 'node:http';
import { canonicalHeader } from '../aws/canonical-request.ts';
import { sha256Hex, type VerifiedSignature } from '../aws/signature-v4.ts';
import type { Payload } from './authentication.ts';
import { type DecodedBody, decodeAwsChunked } from './aws-chunked.ts';
import { wholeNumber } from './exchange.ts';
import { S3Error } from './s3-error.ts';

export const MAX_BODY_BYTES = 64 * 2 ** 20;
const MAX_BODIES_BYTES = 16 * MAX_BODY_BYTES;
const MAX_RAW_BYTES = rawBytes(MAX_BODY_BYTES);

/** In chunks of 8192 bytes and more, each with at most 128 bytes around it, and a trailer. */
function rawBytes(decodedBytes: number): number {
  return decodedBytes + Math.ceil(decodedBytes / 8192 + 2) * 128 + 4096;
}

/** Memory for bodies that are being received or worked on. */
export class BodyBudget {
  #left = MAX_BODIES_BYTES;

  /** While it is held the body may be as long as its headers say. @throws {S3Error} SlowDown */
  take(request: Pick<IncomingMessage, 'headers'>): Disposable {
    const { headers } = request;
    const stated = headers['content-length'] ?? headers['x-amz-decoded-content-length'] ?? '0';
    // Received, decoded; what is longer than allowed is refused before it is read.
    const bytes = 2 * Math.min(Number(stated) || 0, MAX_RAW_BYTES);
    if (bytes > this.#left)
      throw new S3Error('SlowDown', 'too many bodies at once; please reduce your request rate');
    this.#left -= bytes;
    return {
      [Symbol.dispose]: () => {
        this.#left += bytes;
      },
    };
  }
}

/**
 * Reads and decodes the body, and compares it with the hash that was signed.
 * @throws {S3Error} EntityTooLarge, MissingContentLength, IncompleteBody, XAmzContentSHA256Mismatch, and those of aws-chunked
 */
export async function readBody(
  request: IncomingMessage,
  payload: Payload,
  signature: VerifiedSignature,
): Promise<DecodedBody> {
  const { headers } = request;
  if (payload.kind !== 'chunked') {
    if (headers['transfer-encoding'] !== undefined) {
      throw new S3Error('MissingContentLength', 'you must provide the Content-Length HTTP header');
    }
    const body = await readRaw(request, MAX_BODY_BYTES);
    if (payload.kind === 'hashed' && sha256Hex(body) !== payload.sha256) {
      throw new S3Error(
        'XAmzContentSHA256Mismatch',
        'the body does not have the hash in x-amz-content-sha256',
      );
    }
    return { body, trailers: new Map() };
  }
  const length = canonicalHeader(headers, 'x-amz-decoded-content-length');
  if (length === undefined) {
    throw new S3Error('MissingContentLength', 'you must provide x-amz-decoded-content-length');
  }
  const decodedBytes = wholeNumber('x-amz-decoded-content-length', length, 0, Number.MAX_SAFE_INTEGER);
  if (decodedBytes > MAX_BODY_BYTES) throw tooLarge();
  const trailers = payload.trailer ? announced(canonicalHeader(headers, 'x-amz-trailer')) : [];
  const raw = await readRaw(request, rawBytes(decodedBytes));
  return decodeAwsChunked(raw, { signing: payload.signed ? signature : undefined, trailers, decodedBytes });
}

function announced(text: string | undefined): readonly string[] {
  const names = (text ?? '').split(',').map((one) => one.trim().toLowerCase());
  if (names.some((one) => !/^x-amz-checksum-(?:crc32|crc32c|crc64nvme|sha1|sha256)$/.test(one))) {
    throw new S3Error('MalformedTrailerError', 'x-amz-trailer must name a checksum');
  }
  return names;
}

async function readRaw(request: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > maxBytes) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function tooLarge(): S3Error {
  return new S3Error('EntityTooLarge', `a body has at most ${MAX_BODY_BYTES} bytes here`);
}
