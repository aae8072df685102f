import { describe, expect, it } from 'vitest';
import {
  hmacSha256,
  sha256Hex,
  signingKeyOf,
  type VerifiedSignature,
} from '../../../../infra/local/aws/signature-v4.ts';
import { type ChunkedForm, decodeAwsChunked } from '../../../../infra/local/s3/aws-chunked.ts';
import { S3Error } from '../../../../infra/local/s3/s3-error.ts';

// "Examples: Signature calculations in AWS Signature Version 4, transferring payload in multiple chunks", S3 API Reference:
// 66560 times "a" in chunks of 65536, 1024 and 0 bytes.
const DATE = '20130524T000000Z';
const SCOPE = '20130524/us-east-1/s3/aws4_request';
const signingKey = signingKeyOf('wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY', '20130524', 'us-east-1', 's3');
const signedBy = (signature: string): VerifiedSignature => ({
  ...{ accessKeyId: 'AKIAIOSFODNN7EXAMPLE', sessionToken: undefined, date: DATE, scope: SCOPE },
  ...{ signature, signingKey },
});
const long = 'a'.repeat(65536);
const short = 'a'.repeat(1024);

const withoutTrailer = {
  seed: '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9',
  chunks: [
    'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648',
    '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497',
    'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9',
  ],
};
const withTrailer = {
  seed: '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e',
  chunks: [
    'b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2',
    '1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7',
    '2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992',
  ],
  trailer: 'x-amz-checksum-crc32c:sOO8/Q==',
  signature: 'd81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435',
};

function signedBody(chunks: readonly string[], end = '\r\n'): string {
  const [one, two, last] = chunks;
  return `10000;chunk-signature=${one}\r\n${long}\r\n400;chunk-signature=${two}\r\n${short}\r\n0;chunk-signature=${last}\r\n${end}`;
}

function decode(text: string, form: Partial<ChunkedForm> = {}) {
  const full = { signing: undefined, trailers: [], decodedBytes: 66560, ...form };
  return decodeAwsChunked(Buffer.from(text, 'latin1'), full);
}

function codeOf(text: string, form: Partial<ChunkedForm> = {}): string {
  try {
    decode(text, form);
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
  return 'accepted';
}

describe('aws-chunked', () => {
  const signing = signedBy(withoutTrailer.seed);
  const published = signedBody(withoutTrailer.chunks);

  it('aws-chunked: the published example of signed chunks', () => {
    expect(decode(published, { signing }).body).toEqual(new Uint8Array(66560).fill(97));
  });

  it('aws-chunked: the published example of signed chunks and a signed trailer', () => {
    const end = `${withTrailer.trailer}\r\nx-amz-trailer-signature:${withTrailer.signature}\r\n\r\n`;
    const form = { signing: signedBy(withTrailer.seed), trailers: ['x-amz-checksum-crc32c'] };
    const { body, trailers } = decode(signedBody(withTrailer.chunks, end), form);
    expect(body.length).toBe(66560);
    expect([...trailers]).toEqual([['x-amz-checksum-crc32c', 'sOO8/Q==']]);
    for (const bad of [
      end.replace('sOO8', 'sOO9'),
      end.replace('d81f', 'd81e'),
      `${withTrailer.trailer}\r\n\r\n`,
      end.replace('crc32c', 'crc32'),
    ]) {
      expect(codeOf(signedBody(withTrailer.chunks, bad), form)).toMatch(
        /^(?:SignatureDoesNotMatch|MalformedTrailerError)$/,
      );
    }
  });

  it('aws-chunked: a changed, exchanged, dropped or unsigned chunk is refused', () => {
    const [one = '', two = '', last = ''] = withoutTrailer.chunks;
    const mismatch = 'SignatureDoesNotMatch';
    expect(codeOf(published.replace('a\r\n400', 'b\r\n400'), { signing })).toBe(mismatch);
    expect(codeOf(signedBody([two, one, last]), { signing })).toBe(mismatch);
    const dropped = `10000;chunk-signature=${one}\r\n${long}\r\n0;chunk-signature=${last}\r\n\r\n`;
    expect(codeOf(dropped, { signing, decodedBytes: 65536 })).toBe(mismatch);
    expect(codeOf(published, { signing: signedBy('0'.repeat(64)) })).toBe(mismatch);
    expect(codeOf(published.replace(/;chunk-signature=[0-9a-f]+/, ''), { signing })).toBe('IncompleteBody');
  });

  const plain = `10000\r\n${long}\r\n400\r\n${short}\r\n0\r\n\r\n`;

  it('aws-chunked: unsigned chunks', () => {
    expect(decode(plain).body.length).toBe(66560);
    expect(decode('0\r\n\r\n', { decodedBytes: 0 }).body.length).toBe(0);
    const trailers = ['x-amz-checksum-crc32'];
    const form = { decodedBytes: 1, trailers };
    expect([...decode('1\r\nx\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n', form).trailers]).toEqual([
      ['x-amz-checksum-crc32', 'AAAA'],
    ]);
  });

  const one = { decodedBytes: 1 };
  const attacks: readonly [string, string, Partial<ChunkedForm>, string][] = [
    ['cut anywhere', plain.slice(0, -1), {}, 'IncompleteBody'],
    ['cut in a chunk', plain.slice(0, 1000), {}, 'IncompleteBody'],
    ['empty', '', {}, 'IncompleteBody'],
    ['longer than announced', plain, { decodedBytes: 66559 }, 'IncompleteBody'],
    ['shorter than announced', plain, { decodedBytes: 66561 }, 'IncompleteBody'],
    ['with something after the end', `${plain}x`, {}, 'IncompleteBody'],
    ['a chunk without its CR LF', '1\r\nxy\r\n0\r\n\r\n', one, 'IncompleteBody'],
    ['line feeds only', '1\nx\n0\n\n', one, 'IncompleteBody'],
    ['a negative size', '-1\r\nx\r\n0\r\n\r\n', one, 'IncompleteBody'],
    ['a huge size', 'ffffffff\r\nx\r\n0\r\n\r\n', one, 'IncompleteBody'],
    ['a size of nine digits', '000000001\r\nx\r\n0\r\n\r\n', one, 'IncompleteBody'],
    ['an endless line', `${'1'.repeat(5000)}\r\nx`, one, 'IncompleteBody'],
    [
      'a signature where none belongs',
      `1;chunk-signature=${'0'.repeat(64)}\r\nx\r\n0\r\n\r\n`,
      one,
      'IncompleteBody',
    ],
    [
      'a short chunk before another',
      '1\r\nx\r\n1\r\ny\r\n0\r\n\r\n',
      { decodedBytes: 2 },
      'InvalidChunkSizeError',
    ],
    [
      'an unannounced trailer',
      '1\r\nx\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n',
      one,
      'MalformedTrailerError',
    ],
    [
      'a missing trailer',
      '1\r\nx\r\n0\r\n\r\n',
      { ...one, trailers: ['x-amz-checksum-crc32'] },
      'MalformedTrailerError',
    ],
    [
      'a trailer twice',
      '1\r\nx\r\n0\r\nx-amz-checksum-crc32:AAAA\r\nx-amz-checksum-crc32:AAAA\r\n\r\n',
      { ...one, trailers: ['x-amz-checksum-crc32'] },
      'MalformedTrailerError',
    ],
  ];
  for (const [name, text, form, code] of attacks) {
    it(`aws-chunked: refuses a body ${name}`, () => {
      expect(codeOf(text, form)).toBe(code);
    });
  }

  it('aws-chunked: the example is signed as this file signs', () => {
    const text = `AWS4-HMAC-SHA256-PAYLOAD\n${DATE}\n${SCOPE}\n${withoutTrailer.seed}\n${sha256Hex('')}\n${sha256Hex(long)}`;
    expect(Buffer.from(hmacSha256(signingKey, text)).toString('hex')).toBe(withoutTrailer.chunks[0]);
  });
});
