import { secp256k1 } from '@noble/curves/secp256k1.js';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { KmsError } from '../errors.ts';
import { equalBytes } from '../wire/bytes.ts';

/** r, s, v with v 27 or 28 and s in the lower half: the form that contracts read, and the only one they accept. */
export const SIGNATURE_BYTES = 65;

/**
 * Deterministic (RFC 6979), low s.
 * @param digest 32 bytes, as typedDigest gives it @param secret 32 bytes, secret
 */
export function signDigest(digest: Uint8Array, secret: Uint8Array): Uint8Array {
  const recovered = secp256k1.sign(digest, secret, { prehash: false, lowS: true, format: 'recovered' });
  const signature = new Uint8Array(SIGNATURE_BYTES);
  signature.set(recovered.subarray(1), 0);
  signature[64] = 27 + recovered[0]!;
  return signature;
}

/** The address that signed, by the contracts' rule. @throws {KmsError} BAD_SIGNATURE */
export function recoverSigner(digest: Uint8Array, signature: Uint8Array): Uint8Array {
  const v = signature[64];
  if (signature.length !== SIGNATURE_BYTES || (v !== 27 && v !== 28)) throw bad();
  try {
    const point = secp256k1.Signature.fromBytes(signature.subarray(0, 64), 'compact').addRecoveryBit(v - 27);
    if (point.hasHighS()) throw bad();
    return addressOf(point.recoverPublicKey(digest).toBytes(true));
  } catch (cause) {
    throw cause instanceof KmsError ? cause : bad(cause);
  }
}

export function isSignedBy(address: Uint8Array, digest: Uint8Array, signature: Uint8Array): boolean {
  try {
    return equalBytes(recoverSigner(digest, signature), address);
  } catch {
    return false;
  }
}

/** Address of a secp256k1 public key, compressed or not. @throws {KmsError} BAD_INPUT */
export function addressOf(publicKey: Uint8Array): Uint8Array {
  try {
    const point = secp256k1.Point.fromBytes(publicKey).toBytes(false);
    return keccak_256(point.subarray(1)).subarray(12);
  } catch (cause) {
    throw new KmsError('BAD_INPUT', 'this is no secp256k1 public key', { cause });
  }
}

function bad(cause?: unknown): KmsError {
  return new KmsError('BAD_SIGNATURE', 'a signature is r, s, v with a low s', { cause });
}
