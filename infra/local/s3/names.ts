import { S3Error } from './s3-error.ts';

export const MAX_KEY_BYTES = 1024;
const bucketShape = /^(?!xn--)(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const ipShape = /^\d+\.\d+\.\d+\.\d+$/;

/** @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html @throws {S3Error} InvalidBucketName */
export function checkBucketName(name: string): void {
  if (!bucketShape.test(name) || ipShape.test(name)) {
    throw new S3Error('InvalidBucketName', 'the specified bucket is not valid');
  }
}

/**
 * 1..1024 bytes of UTF-8. Narrower than S3: no control characters, which XML cannot hold.
 * @throws {S3Error} KeyTooLongError, InvalidURI
 */
export function checkKey(key: string): void {
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) throw new S3Error('KeyTooLongError', 'the key is too long');
  if (key === '' || /[\p{Control}\p{Surrogate}\ufffe\uffff]/u.test(key)) {
    throw new S3Error('InvalidURI', 'the key holds a control character');
  }
}

/** S3's order of keys: by their UTF-8 bytes. */
export function compareKeys(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
