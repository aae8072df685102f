import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { expect } from 'vitest';
import { digest, refusal, type S3Case } from '../s3-use.ts';

export const integrityCases: readonly S3Case[] = [
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
    not: { moto: 'moto does not verify it' },
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
];
