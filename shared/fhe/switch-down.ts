import { KmsError } from '../errors.ts';
import type { Residues, Ring } from '../math/ring.ts';
import { type Preset, primesAt } from './presets.ts';

/**
 * One component of a ciphertext from its level down to the decryption level, prime by prime, bit for bit what
 * SEAL's mod_switch_to does: every party gets the same residues from the same ciphertext.
 * @param ring over (at least) the preset's data primes in order
 * @param a coefficient form, level * N residues; not changed
 * @returns coefficient form, decryptionLevel * N residues
 * @throws {KmsError} WRONG_LEVEL when the level is below the decryption level or not the preset's
 */
export function switchDown(ring: Ring, preset: Preset, a: Residues, level: number): Residues {
  primesAt(preset, level);
  if (level < preset.decryptionLevel) {
    throw new KmsError(
      'WRONG_LEVEL',
      `${preset.name} decrypts at level ${preset.decryptionLevel}; a ciphertext of level ${level} is below it`,
    );
  }
  let switched: Residues = a.slice();
  for (let left = level; left > preset.decryptionLevel; left--) {
    switched = ring.take(left).divideAndRoundLast(switched);
  }
  return switched;
}
