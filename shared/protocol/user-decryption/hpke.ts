import { Aes256Gcm, CipherSuite, HkdfSha256 } from '@hpke/core';
import { XWing } from '@hpke/hybridkem-x-wing';
import { KmsError } from '../../errors.ts';
import type { Rng } from '../../primitives.ts';
import { concat } from '../../wire/bytes.ts';
import { USER_PRIVATE_KEY_BYTES, USER_PUBLIC_KEY_BYTES, type UserKey, UserPrivateKey } from './user-key.ts';

/** X-Wing ciphertext: ML-KEM-768 (1088) and an ephemeral X25519 key (32). */
export const ENCAPSULATION_BYTES = 1120;
/** What sealing adds to a plaintext: the encapsulation and the AES-GCM tag. */
export const HPKE_OVERHEAD_BYTES = ENCAPSULATION_BYTES + 16;
const ENCAPSULATION_SEED_BYTES = 64;

/**
 * HPKE base mode (RFC 9180 section 5.1.1): KEM X-Wing (0x647a: X25519 and ML-KEM-768, secure while either is), KDF
 * HKDF-SHA256, AEAD AES-256-GCM. Runs on WebCrypto, in Node as in a browser.
 */
const suite = new CipherSuite({ kem: new XWing(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });
// Key derivation is not part of the KemInterface that the suite shows.
const kem = new XWing();

/** A fresh key pair of a user. @param rng secure randomness; 32 bytes are drawn */
export async function generateUserKey(rng: Rng): Promise<UserKey> {
  return userKeyFrom(new UserPrivateKey(rng(USER_PRIVATE_KEY_BYTES)));
}

/** The pair that belongs to a private key. */
export async function userKeyFrom(privateKey: UserPrivateKey): Promise<UserKey> {
  const pair = await privateKey.use((seed) => kem.generateKeyPairDerand(Uint8Array.from(seed)));
  return { publicKey: new Uint8Array(await kem.serializePublicKey(pair.publicKey)), privateKey };
}

/**
 * Encrypts to a user (SealBase of RFC 9180 section 6.1): one message per encapsulation.
 * @param publicKey 1216 bytes
 * @param rng secure randomness; 64 bytes are drawn for the encapsulation
 * @returns encapsulation (1120 bytes), ciphertext, tag
 * @throws {KmsError} BAD_INPUT for a public key that is none (length, ML-KEM modulus check)
 */
export async function seal(
  publicKey: Uint8Array,
  info: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
  rng: Rng,
): Promise<Uint8Array> {
  if (publicKey.length !== USER_PUBLIC_KEY_BYTES) {
    throw new KmsError('BAD_INPUT', `a user's public key has ${USER_PUBLIC_KEY_BYTES} bytes`);
  }
  const ekm = detached(rng(ENCAPSULATION_SEED_BYTES));
  try {
    const recipientPublicKey = await kem.importKey('raw', detached(publicKey), true);
    const sender = await suite.createSenderContext({ recipientPublicKey, info: detached(info), ekm });
    const sealed = await sender.seal(detached(plaintext), detached(aad));
    return concat(new Uint8Array(sender.enc), new Uint8Array(sealed));
  } catch (cause) {
    throw new KmsError('BAD_INPUT', 'cannot encrypt to this public key: it is not a valid X-Wing key', {
      cause,
    });
  }
}

/**
 * Opens what `seal` made (OpenBase of RFC 9180 section 6.1).
 * @throws {KmsError} BAD_ENCODING when too short to be sealed; BAD_INPUT when it was not sealed for this key, info and
 *   aad, or was altered (the two cannot be told apart)
 */
export async function open(
  privateKey: UserPrivateKey,
  info: Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array,
): Promise<Uint8Array> {
  if (sealed.length < HPKE_OVERHEAD_BYTES) throw new KmsError('BAD_ENCODING', 'sealed message is truncated');
  const recipientKey = await privateKey.use((seed) => kem.importKey('raw', detached(seed), false));
  try {
    const recipient = await suite.createRecipientContext({
      recipientKey,
      enc: detached(sealed.subarray(0, ENCAPSULATION_BYTES)),
      info: detached(info),
    });
    return new Uint8Array(
      await recipient.open(detached(sealed.subarray(ENCAPSULATION_BYTES)), detached(aad)),
    );
  } catch (cause) {
    throw new KmsError('BAD_INPUT', 'sealed for another key or request, or altered on its way', { cause });
  }
}

/** A copy in an ArrayBuffer of its own, as WebCrypto takes it. */
function detached(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}
