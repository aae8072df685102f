import {
  createCipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
  sign,
  verify,
} from 'node:crypto';
import { ED25519_KEY_BYTES, ED25519_SIGNATURE_BYTES, PublicKeys } from '../shared/ed25519.ts';
import { KmsError } from '../shared/errors.ts';
import type { BlockCipher, Primitives, Rng, Signer } from '../shared/primitives.ts';
import { bytesOf, concat, fromHex } from '../shared/wire/bytes.ts';

/** SubjectPublicKeyInfo and PKCS#8 headers of raw Ed25519 keys (RFC 8410). */
const SPKI_HEADER = fromHex('302a300506032b6570032100');
const PKCS8_HEADER = fromHex('302e020100300506032b657004220420');

const verificationKeys = new PublicKeys(publicKeyObject);

/** shared/primitives.ts by OpenSSL. */
export const nodePrimitives: Primitives = {
  sha256(...parts) {
    const hash = createHash('sha256');
    for (const part of parts) hash.update(part);
    return plain(hash.digest());
  },

  shake128: (input, sizeBytes) =>
    plain(createHash('shake128', { outputLength: sizeBytes }).update(input).digest()),

  hkdf: (ikm, salt, info, sizeBytes) => new Uint8Array(hkdfSync('sha256', ikm, salt, info, sizeBytes)),

  aes256: (key) => new Aes256(key),

  verify(publicKey, message, signature) {
    if (publicKey.length !== ED25519_KEY_BYTES || signature.length !== ED25519_SIGNATURE_BYTES) return false;
    try {
      const key = verificationKeys.get(publicKey);
      // OpenSSL compares the bytes of S*B - k*A with R and refuses small orders: with A of prime order, R is too.
      return key !== undefined && verify(null, message, key, signature);
    } catch {
      return false;
    }
  },
};

export const systemRng: Rng = (sizeBytes) => plain(randomBytes(sizeBytes));

/**
 * One cipher object for the key's whole life: creating one costs as much as encrypting 60 kB. ECB keeps no state
 * between calls when padding is off and every call gives whole blocks.
 */
class Aes256 implements BlockCipher {
  readonly #cipher: ReturnType<typeof createCipheriv>;

  constructor(key: Uint8Array) {
    if (key.length !== 32) throw new KmsError('BAD_INPUT', 'an AES-256 key has 32 bytes');
    this.#cipher = createCipheriv('aes-256-ecb', key, null);
    this.#cipher.setAutoPadding(false);
  }

  encrypt(blocks: Uint8Array): Uint8Array {
    if (blocks.length % 16 !== 0) throw new KmsError('BAD_INPUT', 'blocks are whole 16-byte blocks');
    return bytesOf(this.#cipher.update(blocks));
  }
}

/**
 * An Ed25519 signing key. @param seed 32 secret bytes (RFC 8032); not kept, the key lives inside OpenSSL.
 * @throws {KmsError} BAD_INPUT for a seed of another size
 */
export function ed25519Signer(seed: Uint8Array): Signer {
  if (seed.length !== 32) throw new KmsError('BAD_INPUT', 'an Ed25519 seed has 32 bytes');
  const encoded = Buffer.from(concat(PKCS8_HEADER, seed));
  const key = createPrivateKey({ key: encoded, format: 'der', type: 'pkcs8' });
  encoded.fill(0);
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
  return {
    publicKey: plain(spki.subarray(SPKI_HEADER.length)),
    sign: (message) => plain(sign(null, message, key)),
  };
}

function publicKeyObject(raw: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.from(concat(SPKI_HEADER, raw)), format: 'der', type: 'spki' });
}

/** A Uint8Array that shares no pool with other Buffers. */
function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer);
}
