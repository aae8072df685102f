import { type SealRuntime, savedBytes, sealRuntime } from '../../../client/seal/context.ts';
import { secretKeyBytes, seededRng, type WideKeys, wideKeys } from '../../../infra/presets/wide-keys.ts';
import { rotationElement } from '../../../shared/fhe/galois.ts';
import { type KeyBytes, keyBytesOf } from '../../../shared/fhe/key-material.ts';
import { type Preset, type PresetName, presetByName } from '../../../shared/fhe/presets.ts';
import { type KeyId, keyId } from '../../../shared/ids.ts';

/** A key of the committee's width under a preset, loaded into node-seal, which then decrypts as the oracle. */
export interface Fixture {
  readonly preset: Preset;
  readonly runtime: SealRuntime;
  readonly keyId: KeyId;
  readonly keys: WideKeys;
  readonly bytes: KeyBytes;
  /** Uncompressed SEAL bytes of an encryption (of slot values) by SEAL's own encryptor. */
  encrypt(slots: BigUint64Array): Uint8Array;
  /** Slot values of SEAL ciphertext bytes, by SEAL's own decryptor. */
  decrypt(ciphertext: Uint8Array): BigUint64Array;
}

export async function fixture(
  name: PresetName,
  seeds: number,
  galois: 'none' | 'some' = 'none',
): Promise<Fixture> {
  const preset = presetByName(name);
  const runtime = await sealRuntime(preset);
  const { seal, context, kernel } = runtime;
  const elements = galois === 'none' ? [] : [rotationElement(preset, 1), 2 * preset.degree - 1];
  const keys = wideKeys(kernel, preset, seeds, seededRng(`fixture ${name} ${seeds}`), elements);
  const bytes = keyBytesOf(keys.material);
  const publicKey = new seal.PublicKey();
  publicKey.loadFromArray(context, bytes.publicKey);
  const secretKey = new seal.SecretKey();
  secretKey.loadFromArray(context, secretKeyBytes(preset, keys.secretNtt));
  const encoder = new seal.BatchEncoder(context);
  const encryptor = new seal.Encryptor(context, publicKey);
  const decryptor = new seal.Decryptor(context, secretKey);
  return {
    preset,
    runtime,
    keyId: keyId('5a'.repeat(32)),
    keys,
    bytes,
    encrypt(slots) {
      using plaintext = new seal.Plaintext();
      using ciphertext = new seal.Ciphertext();
      encoder.encode(slots, plaintext);
      encryptor.encrypt(plaintext, ciphertext);
      return savedBytes(runtime, ciphertext);
    },
    decrypt(body) {
      using plaintext = new seal.Plaintext();
      using ciphertext = new seal.Ciphertext();
      ciphertext.loadFromArray(context, body);
      decryptor.decrypt(ciphertext, plaintext);
      return BigUint64Array.from(encoder.decodeBigUint64(plaintext));
    },
  };
}

/** The code a function throws, or what it returned. */
export function codeThrown(action: () => unknown): string {
  try {
    action();
    return 'nothing thrown';
  } catch (error) {
    return error instanceof Error && 'code' in error
      ? String(error.code)
      : `not a KmsError: ${String(error)}`;
  }
}

export async function codeRejected(action: () => Promise<unknown>): Promise<string> {
  try {
    await action();
    return 'nothing thrown';
  } catch (error) {
    return error instanceof Error && 'code' in error
      ? String(error.code)
      : `not a KmsError: ${String(error)}`;
  }
}
