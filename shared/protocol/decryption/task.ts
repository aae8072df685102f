import { KmsError } from '../../errors.ts';
import type { Envelope, ValueKind } from '../../fhe/envelope.ts';
import { checkDecryptable } from '../../fhe/noise.ts';
import type { Preset } from '../../fhe/presets.ts';
import { switchDown } from '../../fhe/switch-down.ts';
import type { Digest, KeyId } from '../../ids.ts';
import type { Residues, Ring } from '../../math/ring.ts';

/** A ciphertext that has passed every check that needs no key: parsed, bounded, switched to the decryption level. */
export interface DecryptionTask {
  readonly key: KeyId;
  readonly preset: Preset;
  readonly kind: ValueKind;
  /** Of exactly the envelope bytes, before switching. */
  readonly ciphertext: Digest;
  /** Coefficient form over the primes of the decryption level. */
  readonly c0: Residues;
  readonly c1: Residues;
}

/** @param ringOf the ring over a preset's data primes. @throws {KmsError} TOO_NOISY above v_max */
export function taskOf(envelope: Envelope, ringOf: (preset: Preset) => Ring): DecryptionTask {
  const { preset, bound, kind, keyId, digest } = envelope;
  checkDecryptable(preset, bound);
  const ring = ringOf(preset);
  return {
    key: keyId,
    preset,
    kind,
    ciphertext: digest,
    c0: switchDown(ring, preset, envelope.c0, bound.level),
    c1: switchDown(ring, preset, envelope.c1, bound.level),
  };
}

/** @throws {KmsError} WRONG_KEY unless the ciphertext says it is under this key and its preset */
export function requireKey(task: DecryptionTask, key: KeyId, preset: Preset): void {
  if (task.key !== key || task.preset.name !== preset.name) {
    throw new KmsError('WRONG_KEY', 'the ciphertext is under another key or preset');
  }
}
