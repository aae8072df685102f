import { KmsError } from '../errors.ts';
import type { Digest } from '../ids.ts';
import { classOf } from '../network/network-class.ts';
import { bfv8192, bfv16384, test4096 } from './preset-table.ts';

/**
 * Frozen constants of the static noise bound; their derivation is infra/presets/derive-noise.ts, their use
 * noise.ts.
 */
export interface NoiseConstants {
  /** Bound of any proven input, encrypted at the first data level by a hostile user. */
  readonly input: bigint;
  /** A product adds productGain * (v1 + v2 + 2) + productOffset. */
  readonly productGain: bigint;
  readonly productOffset: bigint;
  /** A key switch adds, per data prime left, relinPerDigit or galoisPerDigit, and once keySwitchOffset. */
  readonly relinPerDigit: bigint;
  readonly galoisPerDigit: bigint;
  readonly keySwitchOffset: bigint;
  /** A switch down adds switchOffset after the division. */
  readonly switchOffset: bigint;
}

/**
 * A BFV parameter set and everything the service derives from it (protocols.md sections 1 and 5). A `level`
 * counts the data primes left: a fresh ciphertext has `levels`, decryption happens at `decryptionLevel` and
 * nowhere else.
 */
export interface Preset {
  readonly name: PresetName;
  /** N, a power of two. */
  readonly degree: number;
  /** q_0 .. q_{L-1} in SEAL's order; a switch down drops the last one left. Each is 1 mod 2N. */
  readonly dataPrimes: readonly bigint[];
  /** P, SEAL's last coefficient prime: only inside key-switching keys. */
  readonly specialPrime: bigint;
  /** p, prime and 1 mod 2N, so that vectors have N slots. */
  readonly plainModulus: bigint;
  /** Statistical security of flooding in bits: B >= 2^lambda * vMax. */
  readonly lambda: number;
  /** Largest static noise bound that is decrypted, at the decryption level. */
  readonly vMax: bigint;
  /** L. */
  readonly levels: number;
  readonly decryptionLevel: number;
  /** log2 B at the decryption level: each seed's flood is uniform in [-B, B). */
  readonly floodBits: number;
  /** Successive multiplications guaranteed by the noise rule, for hostile inputs and a key made at (13,4). */
  readonly depth: number;
  /** SEAL's sec_level_type that accepts the parameters; 0 means beyond its table: insecure. */
  readonly sealSecurityLevel: 0 | 128 | 192 | 256;
  /** Too weak to protect anything; for tests. */
  readonly testOnly: boolean;
  /** SEAL's parms_id (32 bytes, hex) of the level with all primes and the special one: that of keys. */
  readonly keyParmsId: string;
  /** SEAL's parms_id of level l at index l - 1. */
  readonly parmsIds: readonly string[];
  readonly noise: NoiseConstants;
}

export type PresetName = 'test-4096' | 'bfv-8192' | 'bfv-16384';

export const DEFAULT_PRESET: PresetName = 'bfv-8192';

export const presets: readonly Preset[] = Object.freeze([test4096, bfv8192, bfv16384]);

/** @throws {KmsError} UNKNOWN_PRESET */
export function presetByName(name: string): Preset {
  const preset = presets.find((candidate) => candidate.name === name);
  if (preset === undefined) {
    const known = presets.map((candidate) => candidate.name).join(', ');
    throw new KmsError('UNKNOWN_PRESET', `no preset of this name; known presets: ${known}`);
  }
  return preset;
}

/**
 * The preset of a key that a network may generate: production networks make no key that is too weak to protect anything.
 * @throws {KmsError} UNKNOWN_PRESET
 */
export function presetFor(networkId: Digest, name: string): Preset {
  const preset = presetByName(name);
  if (preset.testOnly && classOf(networkId) === 'production') {
    throw new KmsError('UNKNOWN_PRESET', `${name} protects nothing: a production network makes no such key`);
  }
  return preset;
}

/** Data primes of a level. @throws {KmsError} WRONG_LEVEL unless 1 <= level <= preset.levels */
export function primesAt(preset: Preset, level: number): readonly bigint[] {
  if (!Number.isInteger(level) || level < 1 || level > preset.levels) {
    throw new KmsError('WRONG_LEVEL', `${preset.name} has levels 1..${preset.levels}, not ${level}`);
  }
  return preset.dataPrimes.slice(0, level);
}

/** Primes of a key: the data primes, then the special prime. */
export function keyPrimes(preset: Preset): readonly bigint[] {
  return [...preset.dataPrimes, preset.specialPrime];
}
