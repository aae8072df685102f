import { expect, it } from 'vitest';
import { kmsHost, parseKeyArn } from '../../../shared/sealing/key-arn.ts';

const ID = '1234abcd-12ab-34cd-56ef-1234567890ab';

it('key ARN: a full ARN is read', () => {
  for (const region of ['eu-central-1', 'us-east-1', 'ap-southeast-10', 'us-gov-west-1']) {
    const arn = `arn:aws:kms:${region}:111122223333:key/${ID}`;
    expect(parseKeyArn(arn)).toEqual({ arn, region, account: '111122223333', keyId: ID });
  }
  expect(kmsHost('eu-central-1')).toBe('kms.eu-central-1.amazonaws.com');
});

it.each([
  ...['', ID, 'alias/kms', `arn:aws:kms:eu-central-1:111122223333:alias/kms`, `key/${ID}`],
  `arn:aws:kms:eu-central-1:111122223333:key/mrk-${ID.replaceAll('-', '')}`,
  `arn:aws-cn:kms:cn-north-1:111122223333:key/${ID}`,
  `arn:aws:kms:eu-central-1:11112222333:key/${ID}`,
  `arn:aws:kms:eu-central-1:111122223333:key/${ID.toUpperCase()}`,
  `arn:aws:kms:evil.invalid/eu-central-1:111122223333:key/${ID}`,
  `arn:aws:kms:eu-central-1:111122223333:key/${ID}\n`,
])('key ARN: %j is BAD_INPUT', (text) => {
  expect(() => parseKeyArn(text)).toThrow(expect.objectContaining({ code: 'BAD_INPUT' }));
});
