import { KmsError } from '../errors.ts';
import { type Preset, primesAt } from './presets.ts';

/**
 * The static noise bound (protocols.md section 5): one integer rule per operation, so that anyone who knows a
 * ciphertext's history, a contract included, computes the same number. Depth is no bound: h+h repeated has
 * depth 0.
 *
 * For a ciphertext of message m at the level with modulus Q, `bound` >= |v| in every coefficient, where v =
 * [c0 + c1*s]_Q - round(Q*m/p). All arithmetic is exact and stays below 2^256: every rule refuses a result
 * above the level's ceiling (at most 2^239), and the one multiplication compares by division first.
 *
 * Derivation (constants: infra/presets/derive-noise.ts). The user is hostile and colludes with t parties: he
 * knows s and e up to one seed's share and aligns his randomness with them. Key sums are those of the widest
 * committee, (13,4).
 * - input: v = e0 + e1*s - u*e, so |v| <= beta_e*(1 + |s|_1) + beta_u*|e|_1. SEAL's own encryptions (made at
 *   the key level and switched down) stay far below.
 * - add, sub, negate, addPlain: bounds add; the roundings of Q*m/p differ by at most 1.
 * - mulPlain: |m|_1 of the plaintext as SEAL lifts it (plainL1 in value.ts) times (v + 1/2), and 1/2.
 * - mul: with T = (p/Q)(c0 + c1*s), the product's noise is T1*w2 + T2*w1 - (p/Q)*w1*w2 + r, w = v + 1/2 at
 *   most. T's coefficients are uniform-like of deviation p*K, K = sqrt((1 + N*sigma_s^2)/12). |T*w| <=
 *   12.5*p*K*|w|_2, and a noise bounded by V has |w|_2 <= 0.32*sqrt(N)*V: noise h*g (h hostile, g spread like
 *   s, V = |h|*|g|_1) has |w|_2 <= |h|_2 * max|g^| <= V*sqrt(pi/2*ln N), g^ the canonical embedding;
 *   rounding-like noise sqrt(N)*V/12.5. So |T*w| <= 4*sqrt(N)*p*K*V. That also covers the user who aligns his
 *   errors with T*s: he reaches sqrt(N)*p*K*V, times sqrt(k!*(k+1)!) after k squarings (moments of the
 *   canonical embedding), below 4^k for k <= 6. prove.ts plays him and comes within two bits. The w1*w2 term
 *   is below N*max(v) as v < Q/p. r = r0 + r1*s + r2*s^2 is SEAL's inexact base conversion, below k+1 per
 *   coefficient, at 12.5 sigma.
 * - key switch: sum over digits of d_j*e_j/P <= (q_j/P)*|e_j|_1, and (1 + |s|_1)/2 for the division by P. For
 *   the two-round relinearisation key e_j = e0*s + e1*u + e2.
 * - modSwitch: v/q, and rounding r0 + r1*s, |r| <= 1/2 uniform-like: 12.5*K, failure below 2^-100.
 */
export interface NoiseBound {
  readonly bound: bigint;
  /** Data primes left. */
  readonly level: number;
}

/** A proven or freshly made encryption, at the first data level. */
export function inputBound(preset: Preset): NoiseBound {
  return { bound: preset.noise.input, level: preset.levels };
}

/** @throws {KmsError} WRONG_LEVEL when the levels differ, TOO_NOISY */
export function addBound(preset: Preset, a: NoiseBound, b: NoiseBound): NoiseBound {
  sameLevel(a, b);
  return limited(preset, a.bound + b.bound + 1n, a.level);
}

/** @throws {KmsError} WRONG_LEVEL when the levels differ, TOO_NOISY */
export function subBound(preset: Preset, a: NoiseBound, b: NoiseBound): NoiseBound {
  return addBound(preset, a, b);
}

/** @throws {KmsError} TOO_NOISY */
export function negateBound(preset: Preset, a: NoiseBound): NoiseBound {
  return limited(preset, a.bound + 1n, a.level);
}

/** @throws {KmsError} TOO_NOISY */
export function addPlainBound(preset: Preset, a: NoiseBound): NoiseBound {
  return limited(preset, a.bound + 1n, a.level);
}

/**
 * @param l1 sum of the absolute values of the plaintext's coefficients (plainL1), 1 .. N*p/2
 * @throws {KmsError} BAD_INPUT for an l1 outside its range, TOO_NOISY
 */
export function mulPlainBound(preset: Preset, a: NoiseBound, l1: bigint): NoiseBound {
  if (l1 < 1n || 2n * l1 > BigInt(preset.degree) * preset.plainModulus) {
    throw new KmsError('BAD_INPUT', 'the plaintext factor must be nonzero and reduced modulo p');
  }
  return limited(preset, multiplied(preset, l1, a.bound + 1n, a.level) + 1n, a.level);
}

/**
 * Multiplication followed by relinearisation.
 * @throws {KmsError} WRONG_LEVEL when the levels differ, TOO_NOISY
 */
export function mulBound(preset: Preset, a: NoiseBound, b: NoiseBound): NoiseBound {
  sameLevel(a, b);
  const { productGain, productOffset, relinPerDigit } = preset.noise;
  const product = multiplied(preset, productGain, a.bound + b.bound + 2n, a.level);
  return limited(preset, product + productOffset + keySwitch(preset, relinPerDigit, a.level), a.level);
}

/**
 * A rotation, column swap or any one Galois automorphism with its key switch.
 * @throws {KmsError} TOO_NOISY
 */
export function rotateBound(preset: Preset, a: NoiseBound): NoiseBound {
  return limited(preset, a.bound + 1n + keySwitch(preset, preset.noise.galoisPerDigit, a.level), a.level);
}

/** One level down. @throws {KmsError} WRONG_LEVEL below the decryption level */
export function modSwitchBound(preset: Preset, a: NoiseBound): NoiseBound {
  decryptable(preset, a.level);
  if (a.level === preset.decryptionLevel) {
    throw new KmsError('WRONG_LEVEL', 'a ciphertext at the decryption level is not switched further down');
  }
  const dropped = preset.dataPrimes[a.level - 1]!;
  return { bound: (a.bound + dropped - 1n) / dropped + preset.noise.switchOffset, level: a.level - 1 };
}

/** The bound after the switch down that precedes every decryption. @throws {KmsError} WRONG_LEVEL */
export function boundAtDecryption(preset: Preset, a: NoiseBound): NoiseBound {
  decryptable(preset, a.level);
  let switched = a;
  while (switched.level > preset.decryptionLevel) switched = modSwitchBound(preset, switched);
  return switched;
}

/**
 * What every party asks before it decrypts.
 * @returns the bound at the decryption level
 * @throws {KmsError} TOO_NOISY above vMax (flooding would hide less than lambda bits), WRONG_LEVEL
 */
export function checkDecryptable(preset: Preset, a: NoiseBound): NoiseBound {
  const switched = boundAtDecryption(preset, a);
  if (a.bound < 0n || switched.bound > preset.vMax) throw tooNoisy(preset);
  return switched;
}

/** Largest bound at a level that checkDecryptable accepts. @throws {KmsError} WRONG_LEVEL */
export function noiseCeiling(preset: Preset, level: number): bigint {
  decryptable(preset, level);
  let ceiling = preset.vMax;
  for (let left = preset.decryptionLevel; left < level; left++) {
    ceiling = (ceiling - preset.noise.switchOffset) * preset.dataPrimes[left]!;
  }
  return ceiling;
}

function keySwitch(preset: Preset, perDigit: bigint, level: number): bigint {
  return BigInt(level) * perDigit + preset.noise.keySwitchOffset;
}

function multiplied(preset: Preset, factor: bigint, bound: bigint, level: number): bigint {
  if (bound > noiseCeiling(preset, level) / factor) throw tooNoisy(preset);
  return bound * factor;
}

function limited(preset: Preset, bound: bigint, level: number): NoiseBound {
  if (bound > noiseCeiling(preset, level)) throw tooNoisy(preset);
  return { bound, level };
}

function sameLevel(a: NoiseBound, b: NoiseBound): void {
  if (a.level !== b.level) {
    throw new KmsError(
      'WRONG_LEVEL',
      `operands of levels ${a.level} and ${b.level}: switch the higher one down first`,
    );
  }
}

function decryptable(preset: Preset, level: number): void {
  primesAt(preset, level);
  if (level < preset.decryptionLevel) {
    throw new KmsError(
      'WRONG_LEVEL',
      `${preset.name} decrypts at level ${preset.decryptionLevel}; this has ${level}`,
    );
  }
}

function tooNoisy(preset: Preset): KmsError {
  return new KmsError(
    'TOO_NOISY',
    `the result could not be decrypted: ${preset.name} guarantees ${preset.depth} multiplication(s) and few ` +
      'additions; use a larger preset or a shallower circuit',
  );
}
