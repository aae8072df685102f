import { PutObjectCommand, type S3ClientConfig } from '@aws-sdk/client-s3';
import { expect } from 'vitest';
import { refusal, type S3Case } from '../s3-use.ts';

export const accessCases: readonly S3Case[] = [
  {
    name: 'the expected owner of the bucket',
    not: { moto: 'moto does not verify it' },
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
    not: { moto: 'moto does not verify it' },
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
