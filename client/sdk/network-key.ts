import { type KeyBytes, keyBytesOf } from '../../shared/fhe/key-material.ts';
import { type Preset, presetByName } from '../../shared/fhe/presets.ts';
import type { Value } from '../../shared/fhe/value.ts';
import type { KeyId } from '../../shared/ids.ts';
import type { Kernel } from '../../shared/math/kernel/kernel.ts';
import { noble } from '../../shared/noble.ts';
import type { Electorate } from '../../shared/protocol/certificate.ts';
import { keyMaterial } from '../../shared/protocol/keygen/material.ts';
import { type KeyRecord, openCertifiedKey } from '../../shared/protocol/keygen/record.ts';
import { Encryptor } from '../seal/encryptor.ts';
import { Evaluator } from '../seal/evaluator.ts';

/** A key that n - t parties of the network signed, as SEAL's files. Public. */
export class NetworkKey {
  readonly id: KeyId;
  readonly preset: Preset;
  readonly record: KeyRecord;
  /** The certified record as the nodes serve it; `open` takes it again. */
  readonly certified: Uint8Array;
  readonly #kernel: Kernel;
  #bytes: KeyBytes | undefined;

  private constructor(kernel: Kernel, record: KeyRecord, certified: Uint8Array) {
    this.#kernel = kernel;
    this.id = record.key;
    this.preset = presetByName(record.request.preset);
    this.record = record;
    this.certified = certified;
  }

  /**
   * Verifies a certified record from anywhere: n - t parties of the network signed its digest.
   * @throws {KmsError} BAD_ENCODING, WRONG_KEY, BAD_SIGNATURE, UNKNOWN_PRESET
   */
  static open(kernel: Kernel, among: Electorate, id: KeyId, certified: Uint8Array): NetworkKey {
    return new NetworkKey(kernel, openCertifiedKey(among, id, certified).record, certified);
  }

  /** Public, relinearisation and Galois keys as SEAL loads them. @throws {KmsError} BAD_ENCODING for a record that is not of its preset */
  get bytes(): KeyBytes {
    this.#bytes ??= keyBytesOf(keyMaterial(noble, this.#kernel, this.record));
    return this.#bytes;
  }

  /** @returns the canonical envelope of a fresh ciphertext. @throws {KmsError} BAD_INPUT for values out of range */
  async encrypt(value: Value): Promise<Uint8Array> {
    using encryptor = await Encryptor.create(this.preset, this.id, this.bytes.publicKey);
    return encryptor.encrypt(value);
  }

  /** Homomorphic operations under this key; dispose of it to free SEAL's memory. */
  evaluator(): Promise<Evaluator> {
    return Evaluator.create(this.preset, this.id, this.bytes);
  }
}
