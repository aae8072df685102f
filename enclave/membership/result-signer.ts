import { createECDH } from 'node:crypto';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { KmsError } from '../../shared/errors.ts';
import type { Rng } from '../../shared/primitives.ts';
import { bytesOf } from '../../shared/wire/bytes.ts';
import type { SealedStore } from '../store/sealed-store.ts';

/** Name of its record. */
export const RESULT_SIGNER = 'node/result-signer';
const SECRET_BYTES = 32;

/** The secret of a new signer; 32 bytes. */
export function newResultSigner(rng: Rng): Uint8Array {
  let secret = rng(SECRET_BYTES);
  // All but one in 2^128 draws are valid.
  while (!secp256k1.utils.isValidSecretKey(secret)) secret = rng(SECRET_BYTES);
  return secret;
}

/** The key whose signatures contracts can check: secp256k1, born here, sealed before it is used, never leaves. */
export class ResultSigner {
  /** Compressed, 33 bytes. */
  readonly publicKey: Uint8Array;
  readonly #secret: Uint8Array;

  private constructor(secret: Uint8Array) {
    this.#secret = secret;
    this.publicKey = publicKeyOf(secret);
  }

  /** @param store tier 2, with what newResultSigner() drew. @throws {KmsError} STORE_FAILED */
  static async open(store: SealedStore): Promise<ResultSigner> {
    const sealed = await store.get(RESULT_SIGNER);
    if (sealed === undefined || !secp256k1.utils.isValidSecretKey(sealed)) {
      throw new KmsError('STORE_FAILED', 'the result signer is missing or damaged');
    }
    return new ResultSigner(sealed);
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

/** By OpenSSL: a node that starts needs it before its first signature, for which noble makes tables. */
function publicKeyOf(secret: Uint8Array): Uint8Array {
  const key = createECDH('secp256k1');
  key.setPrivateKey(secret);
  return bytesOf(key.getPublicKey(null, 'compressed'));
}
