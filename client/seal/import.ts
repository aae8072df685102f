import { sealEnvelope, type ValueKind } from '../../shared/fhe/envelope.ts';
import { inputBound } from '../../shared/fhe/noise.ts';
import type { Preset } from '../../shared/fhe/presets.ts';
import { ciphertextBytes } from '../../shared/fhe/seal/ciphertext.ts';
import { decompressed } from '../../shared/fhe/seal/decompress.ts';
import type { KeyId } from '../../shared/ids.ts';

/**
 * Envelope of a fresh ciphertext that the user's own SEAL program saved, uncompressed or zlib.
 * That it is a fresh encryption under this key, and of this kind of value, is the caller's word.
 * @throws {KmsError} BAD_ENCODING, TOO_LARGE, WRONG_LEVEL unless it is of the first data level
 */
export async function importCiphertext(
  preset: Preset,
  keyId: KeyId,
  kind: ValueKind,
  sealBytes: Uint8Array,
): Promise<Uint8Array> {
  const body = await decompressed(sealBytes, ciphertextBytes(preset.degree, preset.levels));
  return sealEnvelope({ keyId, preset, kind, bound: inputBound(preset) }, body);
}
