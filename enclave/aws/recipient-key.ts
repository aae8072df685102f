import { constants, createHash, generateKeyPair, type KeyObject, privateDecrypt } from 'node:crypto';
import { promisify } from 'node:util';

/**
 * 2048 bits, as AWS's own enclave SDK takes: 70 ms to make against 260 ms for 3072 (median on two cores), in an unsealing
 * that has 1.5 s. The key lives as long as its process, and everything under it also travels inside TLS.
 */
export const RECIPIENT_KEY_BITS = 2048;

/** The RSA key that attested answers of KMS are encrypted to. Born in the enclave, kept nowhere, never exported. */
export class RecipientKey {
  /** DER SubjectPublicKeyInfo: the `public_key` of attestation documents. */
  readonly spki: Uint8Array;
  /** SHA-256 of `spki`. */
  readonly identifier: Uint8Array;
  readonly #privateKey: KeyObject;

  /** For tests, which freeze keys; a process calls generate(). @param privateKey RSA */
  constructor(publicKey: KeyObject, privateKey: KeyObject) {
    this.spki = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));
    this.identifier = new Uint8Array(createHash('sha256').update(this.spki).digest());
    this.#privateKey = privateKey;
  }

  /** Off the main thread. */
  static async generate(): Promise<RecipientKey> {
    const generate = promisify(generateKeyPair);
    const { publicKey, privateKey } = await generate('rsa', { modulusLength: RECIPIENT_KEY_BITS });
    return new RecipientKey(publicKey, privateKey);
  }

  /** RSAES-OAEP with SHA-256 and MGF1-SHA-256, no label; secret. Undefined if it does not decrypt. */
  unwrap(encrypted: Uint8Array): Uint8Array | undefined {
    try {
      const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };
      return new Uint8Array(privateDecrypt({ key: this.#privateKey, ...padding }, encrypted));
    } catch {
      return undefined;
    }
  }

  toJSON(): string {
    return '[secret]';
  }
}
