import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SignatureV4Error } from '../../../infra/local/aws/signature-fault.ts';
import { verifySignatureV4 } from '../../../infra/local/aws/signature-v4.ts';
import { decodeAwsChunked } from '../../../infra/local/s3/aws-chunked.ts';
import { checkKey } from '../../../infra/local/s3/names.ts';
import { operationOf } from '../../../infra/local/s3/operation.ts';
import { rangeOf } from '../../../infra/local/s3/operations/get-object.ts';
import { encodeHeader, type RecordHeader, readHeader } from '../../../infra/local/s3/record.ts';
import { S3Error } from '../../../infra/local/s3/s3-error.ts';
import { parseXml, type Written, writeXml } from '../../../infra/local/s3/xml.ts';
import { KmsError } from '../../../shared/errors.ts';

const numRuns = Number(process.env.FUZZ_RUNS ?? 300);

/** Runs it; the only errors are of that class. */
function only(kind: abstract new (...args: never[]) => Error, run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    expect(error).toBeInstanceOf(kind);
    return undefined;
  }
}

/** A good text with some of it replaced. */
function spoilt(good: string): fc.Arbitrary<string> {
  const edit = fc.record({
    at: fc.nat(good.length),
    cut: fc.nat(8),
    put: fc.string({ unit: 'binary', maxLength: 6 }),
  });
  return fc
    .array(edit, { maxLength: 3 })
    .map((edits) =>
      edits.reduce((text, { at, cut, put }) => text.slice(0, at) + put + text.slice(at + cut), good),
    );
}

describe('fuzz: s3 stand-in', () => {
  it('fuzz: XML of requests', () => {
    const good =
      '<?xml version="1.0" encoding="UTF-8"?><Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Object><Key>a&amp;&#x62;</Key></Object><Quiet>true</Quiet></Delete>';
    const text = fc.oneof(spoilt(good), fc.string({ unit: 'binary' }));
    fc.assert(
      fc.property(text, (xml) => {
        only(S3Error, () => parseXml(Buffer.from(xml)));
      }),
      { numRuns },
    );
    expect(parseXml(Buffer.from(good)).children[0]?.children[0]?.text).toBe('a&b');
    const bytes = fc.uint8Array({ maxLength: 200 });
    fc.assert(
      fc.property(bytes, (xml) => {
        only(S3Error, () => parseXml(xml));
      }),
      { numRuns },
    );
  });

  it('fuzz: XML that is written is read as it was', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 40 }).map((one) => `.${one}`);
    fc.assert(
      fc.property(fc.array(text, { maxLength: 5 }), (texts) => {
        const content = texts.map((one): Written => ['Key', one]);
        const root = parseXml(Buffer.from(writeXml('Root', content)));
        expect(root.children.map((child) => child.text)).toEqual(texts);
      }),
      { numRuns },
    );
  });

  it('fuzz: XML that is a bomb is refused at once', () => {
    const deep = '<a>'.repeat(100_000);
    const entity = '<!DOCTYPE a [<!ENTITY b "bbbb">]><a>&b;</a>';
    const wide = `<a>${'x'.repeat(5 * 2 ** 20)}</a>`;
    const open = `<a ${'b="c" '.repeat(100_000)}`;
    for (const xml of [deep, entity, wide, open, `<a>${'&#x'.repeat(100_000)}</a>`]) {
      const startMs = performance.now();
      expect(() => parseXml(Buffer.from(xml))).toThrow(S3Error);
      expect(performance.now() - startMs).toBeLessThan(1000);
    }
  });

  it('fuzz: aws-chunked bodies', () => {
    const good = '5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n';
    const form = { signing: undefined, trailers: ['x-amz-checksum-crc32'], decodedBytes: 5 };
    fc.assert(
      fc.property(fc.oneof(spoilt(good), fc.string({ unit: 'binary' })), (text) => {
        const decoded = only(S3Error, () => decodeAwsChunked(Buffer.from(text, 'latin1'), form));
        if (decoded !== undefined) expect(decoded).toMatchObject({ body: { length: 5 } });
      }),
      { numRuns },
    );
    expect(decodeAwsChunked(Buffer.from(good), form).body.length).toBe(5);
  });

  it('fuzz: Authorization headers, paths and queries: no one gets in', () => {
    const good = `AWS4-HMAC-SHA256 Credential=AKIA/20240101/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=${'0'.repeat(64)}`;
    const odd = fc.string({ unit: 'binary', maxLength: 30 });
    fc.assert(
      fc.property(spoilt(good), odd, odd, (authorization, path, query) => {
        const outcome = only(SignatureV4Error, () =>
          verifySignatureV4({
            ...{ method: 'GET', path: `/${path}`, query, payloadHash: 'UNSIGNED-PAYLOAD', service: 's3' },
            headers: { authorization, host: 'h', 'x-amz-date': '20240101T000000Z' },
            region: 'us-east-1',
            nowMs: Date.parse('2024-01-01'),
            secretOf: () => 'secret',
          }),
        );
        expect(outcome).toBeUndefined();
      }),
      { numRuns },
    );
  });

  it('fuzz: which operation', () => {
    const name = fc.oneof(
      fc.constantFrom(
        'versions',
        'uploads',
        'uploadId',
        'versionId',
        'list-type',
        'delete',
        'acl',
        '__proto__',
      ),
      fc.string(),
    );
    const header = fc.oneof(
      fc.constantFrom('x-amz-copy-source', 'if-match', 'range', 'x-amz-acl'),
      fc.string(),
    );
    const method = fc.constantFrom('GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'PATCH', 'constructor');
    fc.assert(
      fc.property(method, fc.boolean(), fc.array(name), fc.array(header), (verb, bucket, names, headers) => {
        const query = new Map(names.map((one) => [one, '2'] as const));
        only(S3Error, () => operationOf(verb, bucket ? 'bucket' : 'object', query, headers));
      }),
      { numRuns },
    );
  });

  it('fuzz: keys and ranges', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (key) => {
        only(S3Error, () => checkKey(key));
      }),
      { numRuns },
    );
    const part = fc.oneof(fc.nat(200).map(String), fc.constant(''), fc.string({ maxLength: 3 }));
    fc.assert(
      fc.property(part, part, fc.nat(100), (first, last, size) => {
        const range = only(S3Error, () => rangeOf(`bytes=${first}-${last}`, size));
        if (!Array.isArray(range)) return;
        const [from, to] = range;
        expect(from >= 0 && from < to && to <= size).toBe(true);
      }),
      { numRuns },
    );
  });

  it('fuzz: headers of records on the disk', async () => {
    const header: RecordHeader = {
      ...{ key: 'a', marker: false, etag: '0', lastModifiedMs: 1, metadata: { 'content-type': 'x' } },
      checksum: { algorithm: 'CRC32', value: 'AAAAAA==', type: 'FULL_OBJECT' },
    };
    const read = (bytes: Uint8Array) =>
      readHeader({
        sizeBytes: bytes.length,
        read: async (offset, length) => bytes.subarray(offset, offset + length),
        close: async () => {},
      });
    const good = Buffer.from(encodeHeader(header)).toString('latin1');
    expect((await read(Buffer.from(good, 'latin1'))).header).toEqual(header);
    await fc.assert(
      fc.asyncProperty(spoilt(good), async (text) => {
        await read(Buffer.from(text, 'latin1')).catch((error: unknown) => {
          expect(error).toBeInstanceOf(KmsError);
        });
      }),
      { numRuns },
    );
  });
});
