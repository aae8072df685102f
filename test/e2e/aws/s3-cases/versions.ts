import {
  DeleteObjectCommand,
  GetBucketVersioningCommand,
  ListObjectVersionsCommand,
} from '@aws-sdk/client-s3';
import { expect } from 'vitest';
import { refusal, type S3Case } from '../s3-use.ts';

export const versionCases: readonly S3Case[] = [
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
];
