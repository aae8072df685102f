import { randomBytes } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { expect } from 'vitest';
import { MIB, refusal, type S3Case } from '../s3-use.ts';

export const multipartCases: readonly S3Case[] = [
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
];
