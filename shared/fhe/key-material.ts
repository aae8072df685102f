import type { Residues } from '../math/ring.ts';
import type { Preset } from './presets.ts';
import {
  readGaloisKeys,
  readPublicKey,
  readRelinKeys,
  writeGaloisKeys,
  writePublicKey,
  writeRelinKeys,
} from './seal/keys.ts';

/**
 * One encryption under the key: (b, a) with b + a*s small (plus a gadget term). NTT form over the key primes
 * (data primes, then the special prime): (L+1)*N residues each.
 */
export interface KeyPair {
  readonly b: Residues;
  readonly a: Residues;
}

/** A key-switching key: one pair per data prime (digit). */
export type SwitchingKey = readonly KeyPair[];

/** The public result of a key generation (protocols.md section 4); holds nothing secret. */
export interface KeyMaterial {
  readonly preset: Preset;
  readonly publicKey: KeyPair;
  /** For s^2. */
  readonly relin: SwitchingKey;
  /** By Galois element. */
  readonly galois: ReadonlyMap<number, SwitchingKey>;
}

/** Key material as SEAL's files, which node-seal and SEAL load unmodified. */
export interface KeyBytes {
  readonly publicKey: Uint8Array;
  readonly relinKeys: Uint8Array;
  /** Absent when the key has no Galois keys. */
  readonly galoisKeys?: Uint8Array;
}

/** @throws {KmsError} BAD_INPUT for residues of another shape or not reduced */
export function keyBytesOf(material: KeyMaterial): KeyBytes {
  const { preset } = material;
  const keys = {
    publicKey: writePublicKey(preset, material.publicKey),
    relinKeys: writeRelinKeys(preset, material.relin),
  };
  return material.galois.size === 0
    ? keys
    : { ...keys, galoisKeys: writeGaloisKeys(preset, material.galois) };
}

/** @throws {KmsError} BAD_ENCODING or TOO_LARGE unless every file is a key of this preset */
export function keyMaterialOf(preset: Preset, keys: KeyBytes): KeyMaterial {
  return {
    preset,
    publicKey: readPublicKey(preset, keys.publicKey),
    relin: readRelinKeys(preset, keys.relinKeys),
    galois: keys.galoisKeys === undefined ? new Map() : readGaloisKeys(preset, keys.galoisKeys),
  };
}
