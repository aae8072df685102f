import { KmsError } from '../errors.ts';

/** A key of AWS KMS by its full name. It comes from the network's configuration, never from the cloud. */
export interface KeyArn {
  /** `arn:aws:kms:<region>:<account>:key/<key id>` */
  readonly arn: string;
  readonly region: string;
  /** 12 digits */
  readonly account: string;
  /** UUID. Multi-region keys (mrk-) can be copied to places with another policy and are no KeyArn. */
  readonly keyId: string;
}

const shape =
  /^arn:aws:kms:([a-z]{2}(?:-[a-z]+){1,3}-\d{1,2}):(\d{12}):key\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** @throws {KmsError} BAD_INPUT for aliases, bare ids, multi-region keys and other partitions */
export function parseKeyArn(arn: string): KeyArn {
  const [, region, account, keyId] = shape.exec(arn) ?? [];
  if (region === undefined || account === undefined || keyId === undefined) {
    throw new KmsError(
      'BAD_INPUT',
      'a KMS key is named by its full ARN, arn:aws:kms:<region>:<account>:key/<id>',
    );
  }
  return { arn, region, account, keyId };
}

/** The name that TLS to the region's KMS must prove. */
export function kmsHost(region: string): string {
  return `kms.${region}.amazonaws.com`;
}
