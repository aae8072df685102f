import { KmsError } from '../errors.ts';
import { kmsHost, parseKeyArn } from '../sealing/key-arn.ts';
import { isRole } from '../sealing/kms-policy.ts';
import { type Codec, struct, text } from '../wire/codec.ts';

/** Where a node keeps what it seals: from the configuration alone, never from its parent or the cloud (enclave.md section 1). */
export interface Storage {
  /** ARN of the KMS key; it names region and account too. */
  readonly kmsKey: string;
  /** ARN of the role whose credentials the parent lends. */
  readonly role: string;
  /** S3 bucket in the same region and account. */
  readonly bucket: string;
}

const MAX_ARN_BYTES = 256;
const BUCKET = /^[a-z0-9](?:[a-z0-9-]{1,61})[a-z0-9]$/;
const HTTPS_PORT = 443;

export const storageCodec: Codec<Storage> = struct({
  kmsKey: text(MAX_ARN_BYTES),
  role: text(MAX_ARN_BYTES),
  bucket: text(63),
});

/** @throws {KmsError} BAD_INPUT */
export function checkStorage({ kmsKey, role, bucket }: Storage): void {
  const { account } = parseKeyArn(kmsKey);
  if (!isRole(role, account)) {
    throw new KmsError('BAD_INPUT', `a node's role is an ARN arn:aws:iam::${account}:role/<name>`);
  }
  if (!BUCKET.test(bucket)) throw new KmsError('BAD_INPUT', 'a bucket has 3 to 63 of a-z, 0-9 and "-"');
}

/** The name that TLS to the region's S3 must prove. */
export function s3Host(region: string): string {
  return `s3.${region}.amazonaws.com`;
}

/** The addresses that the node must reach, `host:port`. */
export function storageAddresses({ kmsKey }: Storage): readonly string[] {
  const { region } = parseKeyArn(kmsKey);
  return [kmsHost(region), s3Host(region)].map((host) => `${host}:${HTTPS_PORT}`);
}
