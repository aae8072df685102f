import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  type GetObjectCommandInput,
  HeadBucketCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  ListPartsCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  type S3Client,
  type S3ClientConfig,
  S3ServiceException,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { expect } from 'vitest';

/** A service that the cases run against. */
export interface S3Target {
  /** With right credentials, one attempt per request. */
  client(changes?: S3ClientConfig): S3Client;
  /** Without versioning. */
  readonly bucket: string;
  /** Versioning enabled. */
  readonly versioned: string;
  /** 12 digits: owns both buckets. */
  readonly account: string;
}

export interface S3Case {
  readonly name: string;
  /** Why an implementation is not asked. */
  readonly not?: Readonly<Record<string, string>>;
  run(use: S3Use): Promise<void>;
}

/** What a case has in its hands: a client, and a prefix of its own. */
export class S3Use {
  readonly client: S3Client;
  readonly target: S3Target;
  readonly prefix: string;

  constructor(target: S3Target, client: S3Client, run: string) {
    this.target = target;
    this.client = client;
    this.prefix = `conformance/${run}/${randomBytes(4).toString('hex')}/`;
  }

  key(name: string): string {
    return this.prefix + name;
  }

  put(name: string, Body: string | Uint8Array, more: Partial<PutObjectCommandInput> = {}) {
    const place = { Bucket: this.target.bucket, Key: this.key(name) };
    return this.client.send(new PutObjectCommand({ ...place, Body, ...more }));
  }

  async get(name: string, more: Partial<GetObjectCommandInput> = {}) {
    const place = { Bucket: this.target.bucket, Key: this.key(name) };
    const output = await this.client.send(new GetObjectCommand({ ...place, ...more }));
    return { ...output, bytes: Buffer.from((await output.Body?.transformToByteArray()) ?? []) };
  }

  async text(name: string, more: Partial<GetObjectCommandInput> = {}): Promise<string> {
    return (await this.get(name, more)).bytes.toString();
  }

  /** Keys without the prefix of the case. */
  async list(more: { StartAfter?: string; MaxKeys?: number; Prefix?: string } = {}): Promise<string[]> {
    const keys: string[] = [];
    for (let token: string | undefined; ; ) {
      const page = await this.client.send(
        new ListObjectsV2Command({
          ...{ Bucket: this.target.bucket, Prefix: this.prefix },
          ...more,
          ...(token === undefined ? {} : { ContinuationToken: token }),
        }),
      );
      keys.push(...(page.Contents ?? []).map((one) => (one.Key ?? '').slice(this.prefix.length)));
      token = page.NextContinuationToken;
      if (token === undefined) return keys;
    }
  }
}

/** Name and status of the refusal. */
async function refusal(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof S3ServiceException) return `${error.$metadata.httpStatusCode} ${error.name}`;
    throw error;
  }
  return 'accepted';
}

function digest(algorithm: string, bytes: string | Uint8Array): string {
  return createHash(algorithm).update(bytes).digest('base64');
}

const MIB = 2 ** 20;
const motoVerifies = 'moto does not verify it';

export const s3Cases: readonly S3Case[] = [
  {
    name: 'an object comes back with its bytes, metadata and ETag',
    async run(use) {
      const body = randomBytes(100_000);
      const stored = await use.put('a', body, {
        Metadata: { one: 'a value', two: '2' },
        ContentType: 'application/x-test',
        CacheControl: 'no-store',
      });
      expect(stored.ETag).toBe(`"${createHash('md5').update(body).digest('hex')}"`);
      const { bytes, ...got } = await use.get('a');
      expect(bytes.equals(body)).toBe(true);
      expect(got).toMatchObject({
        ...{ ETag: stored.ETag, ContentLength: 100_000, ContentType: 'application/x-test' },
        ...{ CacheControl: 'no-store', Metadata: { one: 'a value', two: '2' } },
      });
      const head = await use.client.send(
        new HeadObjectCommand({ Bucket: use.target.bucket, Key: use.key('a') }),
      );
      expect(head).toMatchObject({ ETag: stored.ETag, ContentLength: 100_000, Metadata: { two: '2' } });
      expect(Math.abs(Date.now() - (head.LastModified?.getTime() ?? 0))).toBeLessThan(15 * 60_000);
    },
  },
  {
    name: 'an empty object is one',
    async run(use) {
      await use.put('a', new Uint8Array());
      expect(await use.text('a')).toBe('');
      expect(await use.list()).toEqual(['a']);
    },
  },
  {
    name: 'hard keys are kept apart and listed by their bytes',
    async run(use) {
      const names = ['a b', "it's (a) *key*!", 'ü', 'ﬀ', '🙂', 'a//b', 'a/../b', '+&=?#%25', '<&>"', '~'];
      for (const name of names) await use.put(name, `of ${name}`);
      for (const name of names) expect(await use.text(name)).toBe(`of ${name}`);
      const sorted = names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      expect(await use.list()).toEqual(sorted);
    },
  },
  {
    name: 'what is not there is 404',
    async run(use) {
      const place = { Bucket: use.target.bucket, Key: use.key('none') };
      expect(await refusal(use.get('none'))).toBe('404 NoSuchKey');
      expect(await refusal(use.client.send(new HeadObjectCommand(place)))).toBe('404 NotFound');
      const Bucket = `none-${randomBytes(8).toString('hex')}`;
      expect(await refusal(use.get('none', { Bucket }))).toBe('404 NoSuchBucket');
      expect(await refusal(use.client.send(new HeadBucketCommand({ Bucket })))).toBe('404 NotFound');
      await use.client.send(new DeleteObjectCommand(place));
    },
  },
  {
    name: 'an overwritten and a deleted object are so at once',
    async run(use) {
      for (let i = 0; i < 10; i++) {
        await use.put('a', `${i}`);
        expect(await use.text('a')).toBe(`${i}`);
        expect(await use.list()).toEqual(['a']);
        const place = { Bucket: use.target.bucket, Key: use.key('a') };
        await use.client.send(new DeleteObjectCommand(place));
        expect(await refusal(use.get('a'))).toBe('404 NoSuchKey');
        expect(await use.list()).toEqual([]);
      }
    },
  },
  {
    name: 'ranges',
    async run(use) {
      const body = randomBytes(1000);
      await use.put('a', body);
      const range = async (Range: string) => use.get('a', { Range });
      const middle = await range('bytes=10-19');
      expect(middle.bytes.equals(body.subarray(10, 20))).toBe(true);
      expect(middle.ContentRange).toBe('bytes 10-19/1000');
      expect((await range('bytes=990-')).bytes.equals(body.subarray(990))).toBe(true);
      expect((await range('bytes=-7')).bytes.equals(body.subarray(993))).toBe(true);
      expect((await range('bytes=0-5000')).bytes.equals(body)).toBe(true);
      expect(await refusal(range('bytes=1000-'))).toBe('416 InvalidRange');
    },
  },
  {
    name: 'conditional reads',
    async run(use) {
      const { ETag = '' } = await use.put('a', 'one');
      const other = `"${'0'.repeat(32)}"`;
      expect(await use.text('a', { IfMatch: ETag })).toBe('one');
      expect(await refusal(use.get('a', { IfMatch: other }))).toBe('412 PreconditionFailed');
      expect(await use.text('a', { IfNoneMatch: other })).toBe('one');
      expect(await refusal(use.get('a', { IfNoneMatch: ETag }))).toMatch(/^304 /);
    },
  },
  {
    name: 'If-None-Match: * creates and never replaces',
    async run(use) {
      await use.put('a', 'one', { IfNoneMatch: '*' });
      expect(await refusal(use.put('a', 'two', { IfNoneMatch: '*' }))).toBe('412 PreconditionFailed');
      expect(await use.text('a')).toBe('one');
      await use.client.send(new DeleteObjectCommand({ Bucket: use.target.bucket, Key: use.key('a') }));
      await use.put('a', 'three', { IfNoneMatch: '*' });
      expect(await use.text('a')).toBe('three');
    },
  },
  {
    name: 'If-Match replaces only what was meant',
    async run(use) {
      const first = await use.put('a', 'one');
      const match = { IfMatch: first.ETag ?? '' };
      const second = await use.put('a', 'two', match);
      expect(await refusal(use.put('a', 'three', match))).toBe('412 PreconditionFailed');
      expect(await use.text('a')).toBe('two');
      expect(await refusal(use.put('b', 'x', { IfMatch: second.ETag ?? '' }))).toBe('404 NoSuchKey');
    },
  },
  {
    name: 'of 16 writers that create one object at once, one wins',
    not: { moto: 'its check and its write are two steps' },
    async run(use) {
      const bodies = Array.from({ length: 16 }, (_, i) => `writer ${i}`);
      const outcomes = await Promise.all(
        bodies.map((body) => refusal(use.put('a', body, { IfNoneMatch: '*' }))),
      );
      const winners = bodies.filter((_, i) => outcomes[i] === 'accepted');
      expect(winners).toEqual([await use.text('a')]);
      const lost = /^(?:accepted|412 PreconditionFailed|409 ConditionalRequestConflict)$/;
      for (const outcome of outcomes) expect(outcome).toMatch(lost);
    },
  },
  {
    name: 'every checksum algorithm is echoed and verified',
    not: { moto: 'it knows no checksum type and verifies little' },
    async run(use) {
      const body = randomBytes(10_000);
      const silent = await use.put('none', body);
      expect(silent.ChecksumCRC32).toBeDefined();
      for (const ChecksumAlgorithm of ['CRC32', 'SHA1', 'SHA256'] as const) {
        const field = `Checksum${ChecksumAlgorithm}` as const;
        const stored = await use.put(ChecksumAlgorithm, body, { ChecksumAlgorithm });
        expect(stored[field]).toBeDefined();
        const got = await use.get(ChecksumAlgorithm, { ChecksumMode: 'ENABLED' });
        expect(got[field]).toBe(stored[field]);
        expect(got.ChecksumType).toBe('FULL_OBJECT');
        const wrong = { [field]: stored[field]?.replace(/^./, (c) => (c === 'A' ? 'B' : 'A')) };
        expect(await refusal(use.put('wrong', body, wrong))).toBe('400 BadDigest');
      }
      expect(await refusal(use.get('wrong'))).toBe('404 NoSuchKey');
    },
  },
  {
    name: 'published checksums of "123456789"',
    not: { moto: 'it does not give all of them back' },
    async run(use) {
      const known = {
        ChecksumCRC32: 'y/Q5Jg==',
        ChecksumCRC32C: '4waSgw==',
        ChecksumCRC64NVME: 'rosUhgp5mIg=',
      };
      for (const [field, value] of Object.entries(known)) {
        await use.put(field, '123456789', { [field]: value });
        const got = await use.get(field, { ChecksumMode: 'ENABLED' });
        expect(got).toMatchObject({ [field]: value });
        expect(await refusal(use.put('x', '123456780', { [field]: value }))).toBe('400 BadDigest');
      }
    },
  },
  {
    name: 'Content-MD5 is verified',
    not: { moto: motoVerifies },
    async run(use) {
      await use.put('a', 'one', { ContentMD5: digest('md5', 'one') });
      expect(await refusal(use.put('b', 'one', { ContentMD5: digest('md5', 'two') }))).toBe('400 BadDigest');
      expect(await refusal(use.put('b', 'one', { ContentMD5: 'no digest' }))).toBe('400 InvalidDigest');
    },
  },
  {
    name: 'a stream in chunks with a trailing checksum',
    async run(use) {
      const body = randomBytes(300_000);
      const pieces = [body.subarray(0, 100_000), body.subarray(100_000, 290_000), body.subarray(290_000)];
      const place = { Bucket: use.target.bucket, Key: use.key('a') };
      await use.client.send(
        new PutObjectCommand({ ...place, Body: Readable.from(pieces), ContentLength: body.length }),
      );
      const got = await use.get('a', { ChecksumMode: 'ENABLED' });
      expect(got.bytes.equals(body)).toBe(true);
      expect(got.ContentEncoding ?? '').not.toContain('aws-chunked');
    },
  },
  {
    name: 'a list in pages, with delimiter, prefix and start',
    async run(use) {
      const names = ['a', 'b/1', 'b/2', 'b/c/3', 'd', 'e/4', 'f'];
      for (const name of names) await use.put(name, name);
      for (const MaxKeys of [1, 2, 3, 7, 1000]) expect(await use.list({ MaxKeys })).toEqual(names);
      expect(await use.list({ StartAfter: use.key('b/2') })).toEqual(['b/c/3', 'd', 'e/4', 'f']);
      expect(await use.list({ Prefix: use.key('b/') })).toEqual(['b/1', 'b/2', 'b/c/3']);
      for (const MaxKeys of [1, 2, 1000]) {
        const seen: string[] = [];
        for (let token: string | undefined; ; ) {
          const page = await use.client.send(
            new ListObjectsV2Command({
              ...{ Bucket: use.target.bucket, Prefix: use.prefix, Delimiter: '/', MaxKeys },
              ...(token === undefined ? {} : { ContinuationToken: token }),
            }),
          );
          const found = [
            ...(page.Contents ?? []).map((one) => one.Key ?? ''),
            ...(page.CommonPrefixes ?? []).map((one) => one.Prefix ?? ''),
          ];
          expect(page.KeyCount).toBe(found.length);
          seen.push(...found.map((one) => one.slice(use.prefix.length)).sort());
          token = page.NextContinuationToken;
          if (token === undefined) break;
        }
        expect(seen.sort()).toEqual(['a', 'b/', 'd', 'e/', 'f']);
      }
    },
  },
  {
    name: 'DeleteObjects',
    async run(use) {
      for (const name of ['a', 'b', 'c & <d>']) await use.put(name, name);
      const Objects = ['a', 'c & <d>', 'none'].map((name) => ({ Key: use.key(name) }));
      const { Deleted, Errors } = await use.client.send(
        new DeleteObjectsCommand({ Bucket: use.target.bucket, Delete: { Objects } }),
      );
      expect(Errors ?? []).toEqual([]);
      expect(Deleted?.map((one) => one.Key).sort()).toEqual(Objects.map((one) => one.Key).sort());
      expect(await use.list()).toEqual(['b']);
    },
  },
  {
    name: 'a copy has the bytes and metadata of its source',
    async run(use) {
      const name = 'a b/ü+';
      await use.put(name, 'source', { Metadata: { one: '1' } });
      const { bucket } = use.target;
      const CopySource = `${bucket}/${use.key(name).split('/').map(encodeURIComponent).join('/')}`;
      await use.client.send(new CopyObjectCommand({ Bucket: bucket, Key: use.key('copy'), CopySource }));
      const got = await use.get('copy');
      expect(got.bytes.toString()).toBe('source');
      expect(got.Metadata).toEqual({ one: '1' });
    },
  },
  {
    name: 'versions: each write is one, each can be read and removed',
    async run(use) {
      const Bucket = use.target.versioned;
      const { Status } = await use.client.send(new GetBucketVersioningCommand({ Bucket }));
      expect(Status).toBe('Enabled');
      const ids: string[] = [];
      for (const body of ['1', '2', '3']) ids.push((await use.put('v', body, { Bucket })).VersionId ?? '');
      expect(new Set(ids).size).toBe(3);
      expect(await use.text('v', { Bucket })).toBe('3');
      for (const [i, VersionId] of ids.entries()) {
        expect(await use.text('v', { Bucket, VersionId })).toBe(`${i + 1}`);
      }
      const place = { Bucket, Key: use.key('v') };
      const marker = await use.client.send(new DeleteObjectCommand(place));
      expect(marker.DeleteMarker).toBe(true);
      expect(await refusal(use.get('v', { Bucket }))).toBe('404 NoSuchKey');
      expect(await use.text('v', { Bucket, VersionId: ids[0]! })).toBe('1');
      expect(await use.list()).toEqual([]);
      const before = await use.client.send(new ListObjectVersionsCommand({ Bucket, Prefix: use.prefix }));
      expect(before.Versions?.map((one) => [one.VersionId, one.IsLatest])).toEqual(
        ids.toReversed().map((id) => [id, false]),
      );
      expect(before.DeleteMarkers).toMatchObject([{ VersionId: marker.VersionId, IsLatest: true }]);

      await use.client.send(new DeleteObjectCommand({ ...place, VersionId: marker.VersionId ?? '' }));
      expect(await use.text('v', { Bucket })).toBe('3');
      await use.client.send(new DeleteObjectCommand({ ...place, VersionId: ids[2]! }));
      expect(await use.text('v', { Bucket })).toBe('2');
      expect(await refusal(use.get('v', { Bucket, VersionId: ids[2]! }))).toBe('404 NoSuchVersion');
    },
  },
  {
    name: 'versions: in pages',
    async run(use) {
      const Bucket = use.target.versioned;
      for (const name of ['a', 'a', 'b', 'c', 'c', 'c']) await use.put(name, name, { Bucket });
      const seen: string[] = [];
      let markers: { KeyMarker?: string; VersionIdMarker?: string } = {};
      for (;;) {
        const place = { Bucket, Prefix: use.prefix, MaxKeys: 2 };
        const page = await use.client.send(new ListObjectVersionsCommand({ ...place, ...markers }));
        seen.push(
          ...(page.Versions ?? []).map((one) => `${one.Key?.slice(use.prefix.length)}${one.VersionId}`),
        );
        if (!page.IsTruncated) break;
        markers = {
          ...(page.NextKeyMarker === undefined ? {} : { KeyMarker: page.NextKeyMarker }),
          ...(page.NextVersionIdMarker === undefined ? {} : { VersionIdMarker: page.NextVersionIdMarker }),
        };
      }
      expect(new Set(seen).size).toBe(6);
      expect(seen.map((one) => one[0]).join('')).toBe('aabccc');
    },
  },
  {
    name: 'versions: conditional writes see the newest, a delete marker is none',
    async run(use) {
      const Bucket = use.target.versioned;
      const first = await use.put('v', '1', { Bucket, IfNoneMatch: '*' });
      expect(await refusal(use.put('v', '2', { Bucket, IfNoneMatch: '*' }))).toBe('412 PreconditionFailed');
      await use.client.send(new DeleteObjectCommand({ Bucket, Key: use.key('v') }));
      const match = { Bucket, IfMatch: first.ETag ?? '' };
      expect(await refusal(use.put('v', '3', match))).toBe('404 NoSuchKey');
      await use.put('v', '4', { Bucket, IfNoneMatch: '*' });
      expect(await use.text('v', { Bucket })).toBe('4');
    },
  },
  {
    name: 'multipart: parts in any order become one object',
    async run(use) {
      const place = { Bucket: use.target.bucket, Key: use.key('m') };
      const { UploadId } = await use.client.send(
        new CreateMultipartUploadCommand({ ...place, Metadata: { one: '1' } }),
      );
      const upload = { ...place, UploadId };
      const bodies = [randomBytes(5 * MIB), randomBytes(5 * MIB), randomBytes(1000)];
      const Parts = [];
      for (const [i, Body] of [...bodies.entries()].reverse()) {
        const part = await use.client.send(new UploadPartCommand({ ...upload, PartNumber: i + 1, Body }));
        Parts.unshift({ ...part, PartNumber: i + 1 });
      }
      expect(await refusal(use.get('m'))).toBe('404 NoSuchKey');
      const listed = await use.client.send(new ListPartsCommand(upload));
      expect(listed.Parts?.map((one) => [one.PartNumber, one.ETag, one.Size])).toEqual(
        Parts.map((one, i) => [one.PartNumber, one.ETag, bodies[i]?.length]),
      );
      const open = await use.client.send(
        new ListMultipartUploadsCommand({ Bucket: use.target.bucket, Prefix: use.prefix }),
      );
      expect(open.Uploads).toMatchObject([{ Key: use.key('m'), UploadId }]);
      const finish = { ...upload, MultipartUpload: { Parts } };
      const made = await use.client.send(new CompleteMultipartUploadCommand(finish));
      expect(made.ETag).toMatch(/^"[0-9a-f]{32}-3"$/);
      const got = await use.get('m');
      expect(got.bytes.equals(Buffer.concat(bodies))).toBe(true);
      expect(got).toMatchObject({ ETag: made.ETag, Metadata: { one: '1' } });
      const range = await use.get('m', { Range: `bytes=${5 * MIB - 5}-${5 * MIB + 4}` });
      expect(range.bytes.equals(Buffer.concat(bodies).subarray(5 * MIB - 5, 5 * MIB + 5))).toBe(true);
    },
  },
  {
    name: 'multipart: what is not a good list of parts is refused',
    not: { moto: 'it fails on a part that was not uploaded' },
    async run(use) {
      const place = { Bucket: use.target.bucket, Key: use.key('m') };
      const { UploadId } = await use.client.send(new CreateMultipartUploadCommand(place));
      const upload = { ...place, UploadId };
      const parts: CompletedPart[] = [];
      for (const PartNumber of [1, 2]) {
        const part = await use.client.send(new UploadPartCommand({ ...upload, PartNumber, Body: 'small' }));
        parts.push({ ...part, PartNumber });
      }
      const complete = (Parts: typeof parts) =>
        refusal(
          use.client.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } })),
        );
      expect(await complete(parts)).toBe('400 EntityTooSmall');
      expect(await complete(parts.toReversed())).toBe('400 InvalidPartOrder');
      expect(await complete([{ ...parts[0]!, ETag: `"${'0'.repeat(32)}"` }])).toBe('400 InvalidPart');
      expect(await complete([{ ...parts[0]!, PartNumber: 7 }])).toBe('400 InvalidPart');
      expect(await complete(parts.slice(0, 1))).toBe('accepted');
      expect(await use.text('m')).toBe('small');
    },
  },
  {
    name: 'multipart: an abort ends it',
    not: { moto: 'a part that comes later is an internal error' },
    async run(use) {
      const place = { Bucket: use.target.bucket, Key: use.key('m') };
      const { UploadId } = await use.client.send(new CreateMultipartUploadCommand(place));
      const upload = { ...place, UploadId };
      await use.client.send(new UploadPartCommand({ ...upload, PartNumber: 1, Body: 'x' }));
      await use.client.send(new AbortMultipartUploadCommand(upload));
      const late = new UploadPartCommand({ ...upload, PartNumber: 3, Body: 'x' });
      expect(await refusal(use.client.send(late))).toBe('404 NoSuchUpload');
      expect(await refusal(use.get('m'))).toBe('404 NoSuchKey');
    },
  },
  {
    name: 'multipart: completion is conditional',
    not: { moto: 'it heeds If-None-Match only' },
    async run(use) {
      const place = { Bucket: use.target.bucket, Key: use.key('m') };
      const complete = async (condition: { IfNoneMatch?: string; IfMatch?: string }) => {
        const { UploadId } = await use.client.send(new CreateMultipartUploadCommand(place));
        const upload = { ...place, UploadId };
        const part = await use.client.send(new UploadPartCommand({ ...upload, PartNumber: 1, Body: 'm' }));
        const Parts = [{ ...part, PartNumber: 1 }];
        const finish = { ...upload, MultipartUpload: { Parts }, ...condition };
        const outcome = await refusal(use.client.send(new CompleteMultipartUploadCommand(finish)));
        if (outcome !== 'accepted') await use.client.send(new AbortMultipartUploadCommand(upload));
        return outcome;
      };
      expect(await complete({ IfNoneMatch: '*' })).toBe('accepted');
      expect(await complete({ IfNoneMatch: '*' })).toBe('412 PreconditionFailed');
      const { ETag = '' } = await use.put('m', 'one');
      expect(await complete({ IfMatch: ETag })).toBe('accepted');
      expect(await complete({ IfMatch: ETag })).toBe('412 PreconditionFailed');
    },
  },
  {
    name: 'the expected owner of the bucket',
    not: { moto: motoVerifies },
    async run(use) {
      await use.put('a', 'one', { ExpectedBucketOwner: use.target.account });
      const other = { ExpectedBucketOwner: '999999999999' };
      expect(await refusal(use.put('a', 'two', other))).toBe('403 AccessDenied');
      expect(await refusal(use.get('a', other))).toBe('403 AccessDenied');
      expect(await use.text('a')).toBe('one');
    },
  },
  {
    name: 'a wrong secret, an unknown key and a wrong clock are refused',
    not: { moto: motoVerifies },
    async run(use) {
      const { config } = use.client;
      const credentials = await config.credentials();
      const place = { Bucket: use.target.bucket, Key: use.key('a'), Body: 'x' };
      const attempt = async (changes: S3ClientConfig) => {
        const client = use.target.client(changes);
        const outcome = await refusal(client.send(new PutObjectCommand(place)));
        client.destroy();
        return outcome;
      };
      const secretAccessKey = `${credentials.secretAccessKey.slice(0, -1)}.`;
      const wrong = await attempt({ credentials: { ...credentials, secretAccessKey } });
      expect(wrong).toBe('403 SignatureDoesNotMatch');
      const nobody = { accessKeyId: 'AKIA0000000000000000', secretAccessKey: 'x' };
      expect(await attempt({ credentials: nobody })).toBe('403 InvalidAccessKeyId');
      expect(await attempt({ systemClockOffset: -20 * 60_000 })).toBe('403 RequestTimeTooSkewed');
      expect(await refusal(use.get('a'))).toBe('404 NoSuchKey');
    },
  },
];
