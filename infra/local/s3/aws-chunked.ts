import { timingSafeEqual } from 'node:crypto';
import { concat } from '../../../shared/wire/bytes.ts';
import { hmacSha256, sha256Hex, type VerifiedSignature } from '../aws/signature-v4.ts';
import { S3Error } from './s3-error.ts';

/**
 * The aws-chunked encoding of bodies: chunks, each perhaps signed, then perhaps trailers.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
 */
export interface ChunkedForm {
  /** Every chunk, and the trailer, are signed with what the request was signed with. */
  readonly signing: VerifiedSignature | undefined;
  /** Names of the trailers that must follow, lower case; empty: none may. */
  readonly trailers: readonly string[];
  /** `x-amz-decoded-content-length`. */
  readonly decodedBytes: number;
}

export interface DecodedBody {
  readonly body: Uint8Array;
  readonly trailers: ReadonlyMap<string, string>;
}

/** S3 takes smaller chunks only at the end. */
export const MIN_CHUNK_BYTES = 8192;
const MAX_LINE_BYTES = 1024;
const CR = 13;
const LF = 10;
const EMPTY_HASH = sha256Hex('');
const unsignedHeader = /^([0-9a-fA-F]{1,8})$/;
const signedHeader = /^([0-9a-fA-F]{1,8});chunk-signature=([0-9a-f]{64})$/;
const trailerShape = /^([A-Za-z0-9-]{1,64}):[ \t]*([\x21-\x7e]{0,256}?)[ \t]*$/;
const TRAILER_SIGNATURE = 'x-amz-trailer-signature';

/** @throws {S3Error} IncompleteBody, InvalidChunkSizeError, MalformedTrailerError, SignatureDoesNotMatch */
export function decodeAwsChunked(raw: Uint8Array, form: ChunkedForm): DecodedBody {
  const lines = new Lines(raw);
  const chain = form.signing === undefined ? undefined : new SignatureChain(form.signing);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (let short = false; ; ) {
    const [, digits, signature] = (chain ? signedHeader : unsignedHeader).exec(lines.next()) ?? [];
    if (digits === undefined) throw incomplete('a chunk has no header');
    const length = Number.parseInt(digits, 16);
    const chunk = lines.take(length);
    chain?.chunk(chunk, signature);
    if (length === 0) break;
    if (short)
      throw new S3Error('InvalidChunkSizeError', 'only the last chunk may be shorter than 8192 bytes');
    short = length < MIN_CHUNK_BYTES;
    size += length;
    if (size > form.decodedBytes) throw incomplete('the body is longer than x-amz-decoded-content-length');
    chunks.push(chunk);
    if (lines.next() !== '') throw incomplete('a chunk does not end where it should');
  }
  if (size !== form.decodedBytes) throw incomplete('the body is shorter than x-amz-decoded-content-length');
  const trailers = readTrailers(lines, form.trailers, chain);
  if (!lines.atEnd) throw incomplete('something follows the body');
  return { body: concat(...chunks), trailers };
}

function readTrailers(
  lines: Lines,
  names: readonly string[],
  chain: SignatureChain | undefined,
): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  let signature: string | undefined;
  let signedText = '';
  for (let line = lines.next(); line !== ''; line = lines.next()) {
    const [, given, value] = trailerShape.exec(line) ?? [];
    const name = given?.toLowerCase();
    if (name === undefined || value === undefined || signature !== undefined) throw badTrailer();
    if (name === TRAILER_SIGNATURE && chain !== undefined) {
      signature = value;
      continue;
    }
    if (!names.includes(name) || found.has(name)) throw badTrailer();
    found.set(name, value);
    signedText += `${name}:${value}\n`;
  }
  if (found.size !== names.length) throw badTrailer();
  if (names.length > 0) chain?.trailer(signedText, signature);
  else if (signature !== undefined) throw badTrailer();
  return found;
}

/** Each signature covers the one before it, the first that of the request's headers. */
class SignatureChain {
  readonly #signing: VerifiedSignature;
  #previous: string;

  constructor(signing: VerifiedSignature) {
    this.#signing = signing;
    this.#previous = signing.signature;
  }

  chunk(bytes: Uint8Array, signature: string | undefined): void {
    this.#check('AWS4-HMAC-SHA256-PAYLOAD', `${EMPTY_HASH}\n${sha256Hex(bytes)}`, signature);
  }

  trailer(text: string, signature: string | undefined): void {
    this.#check('AWS4-HMAC-SHA256-TRAILER', sha256Hex(text), signature);
  }

  #check(kind: string, hashes: string, signature: string | undefined): void {
    const { date, scope, signingKey } = this.#signing;
    const expected = hmacSha256(signingKey, `${kind}\n${date}\n${scope}\n${this.#previous}\n${hashes}`);
    const given = Buffer.from(signature ?? '', 'hex');
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
      throw new S3Error('SignatureDoesNotMatch', 'the signature of a chunk or of the trailer does not fit');
    }
    this.#previous = Buffer.from(expected).toString('hex');
  }
}

class Lines {
  readonly #raw: Uint8Array;
  #at = 0;

  constructor(raw: Uint8Array) {
    this.#raw = raw;
  }

  get atEnd(): boolean {
    return this.#at === this.#raw.length;
  }

  /** Up to CR LF, which is skipped. */
  next(): string {
    const end = this.#raw.subarray(0, this.#at + MAX_LINE_BYTES).indexOf(LF, this.#at);
    if (end <= this.#at || this.#raw[end - 1] !== CR) throw incomplete('a line does not end');
    const line = Buffer.from(this.#raw.subarray(this.#at, end - 1)).toString('latin1');
    this.#at = end + 1;
    return line;
  }

  take(bytes: number): Uint8Array {
    if (bytes > this.#raw.length - this.#at) throw incomplete('a chunk ends early');
    this.#at += bytes;
    return this.#raw.subarray(this.#at - bytes, this.#at);
  }
}

function incomplete(message: string): S3Error {
  return new S3Error('IncompleteBody', message);
}

function badTrailer(): S3Error {
  return new S3Error('MalformedTrailerError', 'the trailer is not the one that x-amz-trailer announces');
}
