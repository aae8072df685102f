import { KmsError } from '../../errors.ts';

/** A user's X-Wing decapsulation key: the 32-byte seed of draft-connolly-cfrg-xwing-kem section 5.2. */
export const USER_PRIVATE_KEY_BYTES = 32;
/** ML-KEM-768 encapsulation key (1184) followed by the X25519 public key (32). */
export const USER_PUBLIC_KEY_BYTES = 1216;

const SHOWN = '[secret]';

/**
 * Secret. The user's private key, in one place: reached through `use` only, printed as `[secret]`, overwritten by
 * `[Symbol.dispose]` (JavaScript gives no certainty that no copy is left).
 */
export class UserPrivateKey {
  #seed: Uint8Array | undefined;

  /** @param seed 32 secret bytes, copied. @throws {KmsError} BAD_INPUT for any other length */
  constructor(seed: Uint8Array) {
    if (seed.length !== USER_PRIVATE_KEY_BYTES) {
      throw new KmsError('BAD_INPUT', `a user's private key has ${USER_PRIVATE_KEY_BYTES} bytes`);
    }
    this.#seed = Uint8Array.from(seed);
  }

  /** Lends the key itself for the time of the call. @throws {KmsError} BAD_INPUT after disposal */
  use<T>(f: (seed: Uint8Array) => T): T {
    if (this.#seed === undefined) throw new KmsError('BAD_INPUT', 'this private key has been disposed of');
    return f(this.#seed);
  }

  [Symbol.dispose](): void {
    this.#seed?.fill(0);
    this.#seed = undefined;
  }

  toString(): string {
    return SHOWN;
  }

  toJSON(): string {
    return SHOWN;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return SHOWN;
  }
}

export interface UserKey {
  /** 1216 bytes, public. */
  readonly publicKey: Uint8Array;
  readonly privateKey: UserPrivateKey;
}
