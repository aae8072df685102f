import { KmsError } from '../../errors.ts';
import { fromHex, toHex } from '../../wire/bytes.ts';
import { Writer } from '../../wire/codec.ts';
import type { KeyPair, SwitchingKey } from '../key-material.ts';
import { keyPrimes, type Preset } from '../presets.ts';
import { ciphertextBytes, readPair, writePair } from './ciphertext.ts';
import { Cursor } from './cursor.ts';
import { expectHeader, HEADER_BYTES, writeHeader, writeU64 } from './header.ts';

/**
 * PublicKey: one Ciphertext object in NTT form over the key primes.
 * @throws {KmsError} BAD_ENCODING, TOO_LARGE
 */
export function readPublicKey(preset: Preset, bytes: Uint8Array): KeyPair {
  limit(bytes, pairBytes(preset));
  const from = new Cursor(bytes);
  const pair = readKeyPair(preset, from);
  from.end();
  return pair;
}

/** Exactly what SEAL saves. @throws {KmsError} BAD_INPUT for residues of another shape */
export function writePublicKey(preset: Preset, pair: KeyPair): Uint8Array {
  const out = new Writer();
  writeKeyPair(preset, out, pair);
  return out.finish();
}

/** RelinKeys with the key for s^2 alone. @throws {KmsError} BAD_ENCODING, TOO_LARGE */
export function readRelinKeys(preset: Preset, bytes: Uint8Array): SwitchingKey {
  const relin = readKeySwitchKeys(preset, bytes, 1, 1)[0];
  if (relin === undefined) throw new KmsError('BAD_ENCODING', 'no relinearisation key');
  return relin;
}

export function writeRelinKeys(preset: Preset, relin: SwitchingKey): Uint8Array {
  return writeKeySwitchKeys(preset, [relin]);
}

/**
 * GaloisKeys: N entries, that of element g at (g-1)/2, empty when absent.
 * @throws {KmsError} BAD_ENCODING, TOO_LARGE
 */
export function readGaloisKeys(preset: Preset, bytes: Uint8Array): ReadonlyMap<number, SwitchingKey> {
  const keys = new Map<number, SwitchingKey>();
  const maxKeys = 2 * Math.log2(preset.degree);
  readKeySwitchKeys(preset, bytes, preset.degree, maxKeys).forEach((key, index) => {
    if (key !== undefined) keys.set(2 * index + 1, key);
  });
  return keys;
}

/** @throws {KmsError} BAD_INPUT for an element that is not odd and in 3..2N-1 */
export function writeGaloisKeys(preset: Preset, galois: ReadonlyMap<number, SwitchingKey>): Uint8Array {
  const entries = new Array<SwitchingKey | undefined>(preset.degree).fill(undefined);
  for (const [element, key] of galois) {
    if (!Number.isInteger(element) || element % 2 !== 1 || element < 3 || element >= 2 * preset.degree) {
      throw new KmsError('BAD_INPUT', `${element} is not a Galois element of ${preset.name}`);
    }
    entries[(element - 1) / 2] = key;
  }
  return writeKeySwitchKeys(preset, entries);
}

/** KSwitchKeys: parms_id, u64 entries, per entry u64 digits (0 or L) and that many PublicKey objects. */
function readKeySwitchKeys(
  preset: Preset,
  bytes: Uint8Array,
  entries: number,
  maxKeys: number,
): (SwitchingKey | undefined)[] {
  limit(bytes, HEADER_BYTES + 40 + 8 * entries + maxKeys * preset.levels * pairBytes(preset));
  const from = new Cursor(bytes);
  expectHeader(from, bytes.length);
  if (toHex(from.raw(32)) !== preset.keyParmsId)
    throw new KmsError('BAD_ENCODING', 'keys of other parameters');
  from.expectU64(entries, 'the number of entries');
  const keys = Array.from({ length: entries }, () => {
    const digits = from.u64();
    if (digits === 0) return undefined;
    if (digits !== preset.levels)
      throw new KmsError('BAD_ENCODING', `a switching key has ${preset.levels} digits`);
    return Array.from({ length: digits }, () => readKeyPair(preset, from));
  });
  from.end();
  return keys;
}

function writeKeySwitchKeys(preset: Preset, entries: readonly (SwitchingKey | undefined)[]): Uint8Array {
  const present = entries.filter((key) => key !== undefined);
  if (present.some((key) => key.length !== preset.levels)) {
    throw new KmsError('BAD_INPUT', `a switching key of ${preset.name} has ${preset.levels} digits`);
  }
  const out = new Writer();
  writeHeader(
    out,
    HEADER_BYTES + 40 + 8 * entries.length + present.length * preset.levels * pairBytes(preset),
  );
  out.raw(fromHex(preset.keyParmsId));
  writeU64(out, entries.length);
  for (const key of entries) {
    writeU64(out, key === undefined ? 0 : key.length);
    for (const pair of key ?? []) writeKeyPair(preset, out, pair);
  }
  return out.finish();
}

function shapeOf(preset: Preset): { degree: number; primes: readonly bigint[]; isNtt: true } {
  return { degree: preset.degree, primes: keyPrimes(preset), isNtt: true };
}

function pairBytes(preset: Preset): number {
  return ciphertextBytes(preset.degree, preset.levels + 1);
}

function readKeyPair(preset: Preset, from: Cursor): KeyPair {
  const [b, a] = readPair(from, shapeOf(preset), preset.keyParmsId);
  return { b, a };
}

function writeKeyPair(preset: Preset, out: Writer, pair: KeyPair): void {
  writePair(out, shapeOf(preset), preset.keyParmsId, pair.b, pair.a);
}

function limit(bytes: Uint8Array, max: number): void {
  if (bytes.length > max)
    throw new KmsError('TOO_LARGE', `a key of at most ${max} bytes, got ${bytes.length}`);
}
