import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import { expect } from 'vitest';
import { refusal, type S3Case } from '../s3-use.ts';

export const conditionCases: readonly S3Case[] = [
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
];
