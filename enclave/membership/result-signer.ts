import { secp256k1 } from '@noble/curves/secp256k1.js';
import { KmsError } from '../../shared/errors.ts';
import type { Rng } from '../../shared/primitives.ts';
import type { SealedStore } from '../store/sealed-store.ts';

const RECORD = 'membership/result-signer';
const SECRET_BYTES = 32;

/** The key whose signatures contracts can check: secp256k1, born here, sealed before it is used, never leaves. */
export class ResultSigner {
  /** Compressed, 33 bytes. */
  readonly publicKey: Uint8Array;
  readonly #secret: Uint8Array;

  private constructor(secret: Uint8Array) {
    this.#secret = secret;
    this.publicKey = secp256k1.getPublicKey(secret, true);
  }

  /** @throws {KmsError} STORE_FAILED */
  static async open(store: SealedStore, rng: Rng): Promise<ResultSigner> {
    const sealed = await store.get(RECORD);
    if (sealed !== undefined) {
      if (!secp256k1.utils.isValidSecretKey(sealed))
        throw new KmsError('STORE_FAILED', 'the result signer is damaged');
      return new ResultSigner(sealed);
    }
    let secret = rng(SECRET_BYTES);
    // All but one in 2^128 draws are valid.
    while (!secp256k1.utils.isValidSecretKey(secret)) secret = rng(SECRET_BYTES);
    await store.put(RECORD, secret);
    return new ResultSigner(secret);
  }

  /** The secret is for the duration of the call. */
  use<T>(f: (secret: Uint8Array) => T): T {
    return f(this.#secret);
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  [Symbol.dispose](): void {
    this.#secret.fill(0);
  }
}
