import type { PublicKey } from 'node-seal';
import { sealEnvelope } from '../../shared/fhe/envelope.ts';
import { inputBound } from '../../shared/fhe/noise.ts';
import type { Preset } from '../../shared/fhe/presets.ts';
import { readPublicKey } from '../../shared/fhe/seal/keys.ts';
import type { Value } from '../../shared/fhe/value.ts';
import type { KeyId } from '../../shared/ids.ts';
import { attempt, type SealRuntime, savedBytes, sealRuntime } from './context.ts';
import { sealPlaintext } from './plaintext.ts';

/** Encrypts under one public key with node-seal. Dispose to free SEAL's copy of the key. */
export class Encryptor {
  readonly #runtime: SealRuntime;
  readonly #keyId: KeyId;
  readonly #publicKey: PublicKey;

  private constructor(runtime: SealRuntime, keyId: KeyId, publicKey: PublicKey) {
    this.#runtime = runtime;
    this.#keyId = keyId;
    this.#publicKey = publicKey;
  }

  /**
   * @param publicKey SEAL's bytes of the certified public key; that it belongs to keyId is not verified here
   * @throws {KmsError} BAD_ENCODING, TOO_LARGE
   */
  static async create(preset: Preset, keyId: KeyId, publicKey: Uint8Array): Promise<Encryptor> {
    const runtime = await sealRuntime(preset);
    readPublicKey(preset, publicKey);
    const loaded = new runtime.seal.PublicKey();
    attempt('BAD_ENCODING', 'SEAL does not load this public key', () => {
      loaded.loadFromArray(runtime.context, publicKey);
    });
    return new Encryptor(runtime, keyId, loaded);
  }

  /**
   * A fresh ciphertext's envelope, at the first data level with the bound of an input.
   * @throws {KmsError} BAD_INPUT for values that do not fit the preset
   */
  encrypt(value: Value): Uint8Array {
    const { seal, context, preset } = this.#runtime;
    using encryptor = new seal.Encryptor(context, this.#publicKey);
    using ciphertext = new seal.Ciphertext();
    using plaintext = sealPlaintext(this.#runtime, value).plaintext;
    encryptor.encrypt(plaintext, ciphertext);
    return sealEnvelope(
      { keyId: this.#keyId, preset, kind: value.kind, bound: inputBound(preset) },
      savedBytes(this.#runtime, ciphertext),
    );
  }

  [Symbol.dispose](): void {
    this.#publicKey.delete();
  }
}
