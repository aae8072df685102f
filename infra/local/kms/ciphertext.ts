import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { badCiphertext } from './service-error.ts';

/**
 * What this KMS encrypts: a byte of format, the key's id, nonce, AES-256-GCM ciphertext and tag. Header and encryption context
 * are authenticated. AWS's own blobs have another form, which nobody may rely on.
 */
const FORMAT = 1;
const ID_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEADER_BYTES = 1 + ID_BYTES;
const MIN_BYTES = HEADER_BYTES + NONCE_BYTES + TAG_BYTES;

export type Context = ReadonlyMap<string, string>;

export function encryptUnder(
  keyId: string,
  material: Uint8Array,
  plaintext: Uint8Array,
  context: Context,
): Buffer {
  const header = Buffer.from(`0${FORMAT}${keyId.replaceAll('-', '')}`, 'hex');
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', material, nonce);
  cipher.setAAD(authenticated(header, context));
  return Buffer.concat([header, nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** The key that a ciphertext names; not authenticated at this point. @throws {ServiceError} */
export function keyNamedBy(blob: Uint8Array): string {
  if (blob.length < MIN_BYTES || blob[0] !== FORMAT) throw badCiphertext();
  const hex = Buffer.from(blob.subarray(1, HEADER_BYTES)).toString('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** @throws {ServiceError} InvalidCiphertextException for another key, context or byte */
export function decryptUnder(material: Uint8Array, blob: Uint8Array, context: Context): Buffer {
  const header = blob.subarray(0, HEADER_BYTES);
  const nonce = blob.subarray(HEADER_BYTES, HEADER_BYTES + NONCE_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', material, nonce);
  decipher.setAAD(authenticated(header, context));
  decipher.setAuthTag(blob.subarray(-TAG_BYTES));
  try {
    const body = blob.subarray(HEADER_BYTES + NONCE_BYTES, -TAG_BYTES);
    return Buffer.concat([decipher.update(body), decipher.final()]);
  } catch {
    throw badCiphertext();
  }
}

/** The context by sorted names, each text with its length before it. */
function authenticated(header: Uint8Array, context: Context): Buffer {
  const hash = createHash('sha256');
  for (const [name, value] of [...context].sort(([a], [b]) => (a < b ? -1 : 1))) {
    for (const text of [name, value]) hash.update(`${Buffer.byteLength(text)}:`).update(text);
  }
  return Buffer.concat([header, hash.digest()]);
}
