import { createHash, randomBytes } from 'node:crypto';
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
} from '@aws-sdk/client-s3';
import { expect } from 'vitest';
import { refusal, type S3Case } from '../s3-use.ts';

export const objectCases: readonly S3Case[] = [
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
];
