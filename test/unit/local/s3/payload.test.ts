import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sha256Hex } from '../../../../infra/local/aws/signature-v4.ts';
import { checksumOf } from '../../../../infra/local/s3/checksum.ts';
import { BodyBudget, MAX_BODY_BYTES } from '../../../../infra/local/s3/request-body.ts';
import { S3Server } from '../../../../infra/local/s3/server.ts';
import { type RawRequest, signedRequest } from './signed-request.ts';

const credential = { accessKeyId: 'A', secretAccessKey: 'a', account: '111111111111' };
let directory = '';
let server: S3Server;
let endpoint = '';

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kms-s3-'));
  server = await S3Server.open({ directory, credentials: [credential] });
  endpoint = await server.listen(0);
  expect(await put({ path: '/bucket' })).toBe('200');
});
afterAll(async () => {
  await server.close();
  await rm(directory, { recursive: true, force: true });
});

/** Status and code. */
async function put(request: Partial<RawRequest>): Promise<string> {
  const { status, code } = await signedRequest(endpoint, credential, {
    ...{ method: 'PUT', path: '/bucket/a' },
    ...request,
  });
  return code === undefined ? `${status}` : `${status} ${code}`;
}

async function get(): Promise<string> {
  return (await signedRequest(endpoint, credential, { method: 'GET', path: '/bucket/a' })).text;
}

const long = 'b'.repeat(8192);

/** A signed body in chunks: long, then "end". */
function chunked(change: (text: string) => string, trailer?: string): NonNullable<RawRequest['chunks']> {
  return (signing) => {
    const chunks = [long, 'end', ''].map(
      (one) =>
        `${one.length.toString(16)};chunk-signature=${signing.chunk(one)}\r\n${one}${one === '' ? '' : '\r\n'}`,
    );
    const end =
      trailer === undefined
        ? ''
        : `${trailer}\r\nx-amz-trailer-signature:${signing.trailer(`${trailer}\n`)}\r\n`;
    return change(`${chunks.join('')}${end}\r\n`);
  };
}

describe('s3 stand-in: bodies', () => {
  it('s3 stand-in: not more of them at once than there is memory for', () => {
    const budget = new BodyBudget();
    const request = { headers: { 'content-length': `${MAX_BODY_BYTES}` } };
    const held = Array.from({ length: 8 }, () => budget.take(request));
    expect(() => budget.take(request)).toThrow(expect.objectContaining({ code: 'SlowDown' }));
    expect(() => budget.take({ headers: {} })).not.toThrow();
    held[0]?.[Symbol.dispose]();
    budget.take(request);
  });

  it('s3 stand-in: a hashed body has its hash', async () => {
    expect(await put({ body: 'one' })).toBe('200');
    expect(await get()).toBe('one');
    expect(await put({ body: 'two', payload: sha256Hex('one') })).toBe('400 XAmzContentSHA256Mismatch');
    expect(await get()).toBe('one');
  });

  it('s3 stand-in: an unsigned body is taken, with its checksum verified', async () => {
    expect(await put({ body: 'three', payload: 'UNSIGNED-PAYLOAD' })).toBe('200');
    expect(await get()).toBe('three');
    const headers = { 'x-amz-checksum-crc32': checksumOf('CRC32', Buffer.from('three')) };
    expect(await put({ body: 'threa', payload: 'UNSIGNED-PAYLOAD', headers })).toBe('400 BadDigest');
    const two = { ...headers, 'x-amz-checksum-sha1': checksumOf('SHA1', Buffer.from('three')) };
    expect(await put({ body: 'three', headers: two })).toBe('400 InvalidRequest');
    expect(await put({ body: 'three', headers: { 'x-amz-checksum-crc32': 'short' } })).toBe(
      '400 InvalidRequest',
    );
    expect(await get()).toBe('three');
  });

  it('s3 stand-in: signed chunks', async () => {
    const request = {
      payload: 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
      headers: { 'x-amz-decoded-content-length': '8195', 'content-encoding': 'aws-chunked' },
    };
    expect(await put({ ...request, chunks: chunked((text) => text) })).toBe('200');
    expect(await get()).toBe(`${long}end`);
    const changed = chunked((text) => text.replace('end', 'eme'));
    expect(await put({ ...request, chunks: changed })).toBe('403 SignatureDoesNotMatch');
    expect(await get()).toBe(`${long}end`);
  });

  it('s3 stand-in: signed chunks and a signed trailer', async () => {
    const sum = checksumOf('CRC32C', Buffer.from(`${long}end`));
    const trailer = `x-amz-checksum-crc32c:${sum}`;
    const request = {
      payload: 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
      headers: { 'x-amz-decoded-content-length': '8195', 'x-amz-trailer': 'x-amz-checksum-crc32c' },
    };
    expect(await put({ ...request, chunks: chunked((text) => text, trailer) })).toBe('200');
    const wrong = 'x-amz-checksum-crc32c:AAAAAA==';
    expect(await put({ ...request, chunks: chunked((text) => text, wrong) })).toBe('400 BadDigest');
    const swapped = chunked((text) => text.replace(sum, 'AAAAAA=='), trailer);
    expect(await put({ ...request, chunks: swapped })).toBe('403 SignatureDoesNotMatch');
  });

  it('s3 stand-in: unsigned chunks and a trailer', async () => {
    const request = {
      payload: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
      headers: { 'x-amz-decoded-content-length': '4', 'x-amz-trailer': 'x-amz-checksum-crc32' },
    };
    const body = (sum: string): string => `4\r\nfour\r\n0\r\nx-amz-checksum-crc32:${sum}\r\n\r\n`;
    expect(await put({ ...request, body: body(checksumOf('CRC32', Buffer.from('four'))) })).toBe('200');
    expect(await get()).toBe('four');
    expect(await put({ ...request, body: body('AAAAAA==') })).toBe('400 BadDigest');
    expect(await put({ ...request, headers: {}, body: body('AAAAAA==') })).toBe('411 MissingContentLength');
    const unnamed = { 'x-amz-decoded-content-length': '4' };
    expect(await put({ ...request, headers: unnamed, body: body('AAAAAA==') })).toBe(
      '400 MalformedTrailerError',
    );
    expect(await get()).toBe('four');
  });

  it('s3 stand-in: no length, unknown forms and doubled parameters are refused', async () => {
    const headers = { 'transfer-encoding': 'chunked' };
    expect(await put({ body: 'x', headers })).toBe('411 MissingContentLength');
    expect(await put({ body: 'x', payload: 'STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD' })).toBe(
      '400 InvalidArgument',
    );
    expect(await put({ body: 'x', query: 'x-id=a&x-id=b' })).toBe('400 InvalidArgument');
    expect(await put({ body: 'x', query: 'acl' })).toBe('501 NotImplemented');
    expect(await put({ body: 'x', path: '/bucket/%00' })).toBe('400 InvalidURI');
    expect(await get()).toBe('four');
  });
});
