import { KmsError } from '../errors.ts';
import { bytes, type Codec, decode, encode, list } from '../wire/codec.ts';

/** As Limits.MAX_HANDLES. */
const MAX_HANDLES = 64;
const MAX_SEALED_BYTES = 2 << 20;

/** Less than the ciphertexts of one request (Limits.MAX_CIPHERTEXT_BYTES): a share is of one of their two components. */
export const MAX_USER_SHARE_BYTES = 16 << 20;

const shares: Codec<readonly Uint8Array[]> = list(bytes(MAX_SEALED_BYTES + 1024), MAX_HANDLES);

/**
 * One party's share of a user decryption, as its SHA-256 is on chain: a sealed share
 * (shared/protocol/user-decryption/sealed-share.ts) of each handle, in the request's order.
 */
export function encodeUserShare(sealed: readonly Uint8Array[]): Uint8Array {
  return encode(shares, sealed);
}

/** @param share untrusted. @throws {KmsError} TOO_LARGE, BAD_ENCODING */
export function decodeUserShare(share: Uint8Array): readonly Uint8Array[] {
  if (share.length > MAX_USER_SHARE_BYTES) {
    throw new KmsError('TOO_LARGE', `a user's share has at most ${MAX_USER_SHARE_BYTES} bytes`);
  }
  return decode(shares, share);
}
