import { KmsError } from '../../errors.ts';
import type { Residues } from '../../math/ring.ts';
import { bytesOf, fromHex, toHex } from '../../wire/bytes.ts';
import { Writer } from '../../wire/codec.ts';
import { type Preset, primesAt } from '../presets.ts';
import { Cursor } from './cursor.ts';
import { expectHeader, HEADER_BYTES, writeHeader, writeU64 } from './header.ts';

/** A two-component BFV ciphertext in coefficient form, level * N residues each. */
export interface SealCiphertext {
  readonly level: number;
  readonly c0: Residues;
  readonly c1: Residues;
}

/** What a SEAL Ciphertext object of a certain place looks like. */
interface Shape {
  readonly degree: number;
  readonly primes: readonly bigint[];
  /** Keys are in NTT form, BFV ciphertexts in coefficient form. */
  readonly isNtt: boolean;
}

/** parms_id, is_ntt, size, N, k, scale, correction factor, nested header, count. */
const FIXED_BYTES = HEADER_BYTES + 32 + 1 + 3 * 8 + 8 + 8 + HEADER_BYTES + 8;

/** Size of an uncompressed SEAL ciphertext of two components over `primeCount` primes. */
export function ciphertextBytes(degree: number, primeCount: number): number {
  return FIXED_BYTES + 16 * degree * primeCount;
}

/**
 * SEAL's bytes of a ciphertext at any level of the preset.
 * @throws {KmsError} TOO_LARGE beyond the size of a fresh ciphertext, BAD_ENCODING for any other deviation
 * from what SEAL writes for a two-component, uncompressed BFV ciphertext of this preset
 */
export function readCiphertext(preset: Preset, bytes: Uint8Array): SealCiphertext {
  const limit = ciphertextBytes(preset.degree, preset.levels);
  if (bytes.length > limit) {
    throw new KmsError(
      'TOO_LARGE',
      `a ${preset.name} ciphertext has at most ${limit} bytes, this one ${bytes.length}`,
    );
  }
  const level = levelOf(preset, bytes);
  const from = new Cursor(bytes);
  const shape = { degree: preset.degree, primes: primesAt(preset, level), isNtt: false };
  const [c0, c1] = readPair(from, shape, preset.parmsIds[level - 1]!);
  from.end();
  return { level, c0, c1 };
}

/** Exactly what SEAL would save for this ciphertext without compression. */
export function writeCiphertext(preset: Preset, ciphertext: SealCiphertext): Uint8Array {
  const out = new Writer();
  const shape = { degree: preset.degree, primes: primesAt(preset, ciphertext.level), isNtt: false };
  writePair(out, shape, preset.parmsIds[ciphertext.level - 1]!, ciphertext.c0, ciphertext.c1);
  return out.finish();
}

/** A Ciphertext object: the body of ciphertexts, public keys and each digit of a key-switching key. */
export function readPair(from: Cursor, shape: Shape, parmsId: string): [Residues, Residues] {
  const { degree, primes } = shape;
  const words = degree * primes.length;
  expectHeader(from, ciphertextBytes(degree, primes.length));
  if (toHex(from.raw(32)) !== parmsId) throw new KmsError('BAD_ENCODING', 'SEAL object of other parameters');
  if (from.u8() !== (shape.isNtt ? 1 : 0))
    throw new KmsError('BAD_ENCODING', 'SEAL object in the wrong form');
  from.expectU64(2, 'the number of components');
  from.expectU64(degree, 'the degree');
  from.expectU64(primes.length, 'the number of primes');
  if (from.f64() !== 1) throw new KmsError('BAD_ENCODING', 'scale is not 1');
  from.expectU64(1, 'the correction factor');
  expectHeader(from, HEADER_BYTES + 8 + 16 * words);
  from.expectU64(2 * words, 'the number of words');
  const first = from.words(words);
  const second = from.words(words);
  if (!isReduced(first, shape) || !isReduced(second, shape)) {
    throw new KmsError('BAD_ENCODING', 'a residue is not below its prime');
  }
  return [first, second];
}

/** @throws {KmsError} BAD_INPUT unless both polynomials have k*N residues below their primes */
export function writePair(
  out: Writer,
  shape: Shape,
  parmsId: string,
  first: Residues,
  second: Residues,
): void {
  const { degree, primes } = shape;
  const words = degree * primes.length;
  for (const polynomial of [first, second]) {
    if (polynomial.length !== words || !isReduced(polynomial, shape)) {
      throw new KmsError('BAD_INPUT', `expected ${words} residues, each below its prime`);
    }
  }
  writeHeader(out, ciphertextBytes(degree, primes.length));
  out.raw(fromHex(parmsId));
  out.uint(shape.isNtt ? 1 : 0, 1);
  writeU64(out, 2);
  writeU64(out, degree);
  writeU64(out, primes.length);
  out.raw(bytesOf(Float64Array.of(1)));
  writeU64(out, 1);
  writeHeader(out, HEADER_BYTES + 8 + 16 * words);
  writeU64(out, 2 * words);
  out.raw(bytesOf(first));
  out.raw(bytesOf(second));
}

/** parms_id of a data level. @throws {KmsError} BAD_ENCODING when it is none of the preset's */
function levelOf(preset: Preset, bytes: Uint8Array): number {
  const from = new Cursor(bytes);
  from.raw(HEADER_BYTES);
  const index = preset.parmsIds.indexOf(toHex(from.raw(32)));
  if (index < 0) {
    throw new KmsError(
      'BAD_ENCODING',
      `not an uncompressed ciphertext of ${preset.name}, at any of its levels`,
    );
  }
  return index + 1;
}

/**
 * Public data: returns early. 32-bit halves (little endian, as in memory), because bigints cost a hundred
 * times more.
 */
function isReduced(a: Residues, shape: Shape): boolean {
  const halves = new Uint32Array(a.buffer, a.byteOffset, 2 * a.length);
  return shape.primes.every((prime, index) => {
    const high = Number(prime >> 32n);
    const low = Number(prime & 0xffffffffn);
    const end = 2 * (index + 1) * shape.degree;
    for (let i = 2 * index * shape.degree; i < end; i += 2) {
      if (halves[i + 1]! > high || (halves[i + 1] === high && halves[i]! >= low)) return false;
    }
    return true;
  });
}
