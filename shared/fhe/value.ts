import { KmsError } from '../errors.ts';
import type { Kernel } from '../math/kernel/kernel.ts';
import { Ring } from '../math/ring.ts';
import type { ValueKind } from './envelope.ts';
import type { Preset } from './presets.ts';

/**
 * Typed plaintexts. A scalar m is the constant polynomial m (a subring closed under + and *): in slots, m
 * everywhere, so it mixes with vectors. A vector holds N values, one per slot, in SEAL BatchEncoder's order.
 */
export type Value =
  | { readonly kind: 'scalar'; readonly value: bigint }
  | { readonly kind: 'vector'; readonly values: BigUint64Array };

/**
 * Coefficients of the plaintext polynomial, N words below p.
 * @throws {KmsError} BAD_INPUT for values not in 0..p-1 or more than N of them (fewer are filled up with
 * zeros)
 */
export function encodeValue(kernel: Kernel, preset: Preset, value: Value): BigUint64Array {
  const p = preset.plainModulus;
  if (value.kind === 'scalar') {
    if (value.value < 0n || value.value >= p) throw outOfRange(p);
    const coefficients = new BigUint64Array(preset.degree);
    coefficients[0] = value.value;
    return coefficients;
  }
  if (value.values.length > preset.degree) {
    throw new KmsError('BAD_INPUT', `a vector of ${preset.name} has at most ${preset.degree} values`);
  }
  if (value.values.some((x) => x >= p)) throw outOfRange(p);
  const slots = slotPositions(preset.degree);
  const polynomial = new BigUint64Array(preset.degree);
  value.values.forEach((x, i) => {
    polynomial[slots[i]!] = x;
  });
  new Ring(kernel, preset.degree, [p]).intt(polynomial);
  return polynomial;
}

/**
 * @param coefficients of the plaintext, below p: N, or for a scalar at least the first
 * @throws {KmsError} BAD_INPUT for another number of coefficients
 */
export function decodeValue(
  kernel: Kernel,
  preset: Preset,
  kind: ValueKind,
  coefficients: BigUint64Array,
): Value {
  if (kind === 'scalar') {
    const value = coefficients[0];
    if (value === undefined) throw new KmsError('BAD_INPUT', 'a scalar has one coefficient');
    return { kind, value };
  }
  if (coefficients.length !== preset.degree) {
    throw new KmsError('BAD_INPUT', `a vector of ${preset.name} has ${preset.degree} coefficients`);
  }
  const evaluations = coefficients.slice();
  new Ring(kernel, preset.degree, [preset.plainModulus]).ntt(evaluations);
  return { kind, values: BigUint64Array.from(slotPositions(preset.degree), (at) => evaluations[at]!) };
}

/**
 * What a multiplication by this plaintext costs (mulPlainBound): the sum of |m_i| of the centred
 * coefficients, as SEAL lifts them to the ciphertext's modulus. A lone coefficient (every scalar) SEAL takes
 * as it is, in 0..p-1.
 */
export function plainL1(preset: Preset, coefficients: BigUint64Array): bigint {
  const p = preset.plainModulus;
  const nonzero = coefficients.filter((x) => x !== 0n);
  if (nonzero.length === 1) return nonzero[0]!;
  return nonzero.reduce((sum, x) => sum + (2n * x > p ? p - x : x), 0n);
}

/**
 * Where slot i lies in NTT form: slot i of the first row is the evaluation at psi^(3^i), of the second row at
 * its inverse, and psi^(2k+1) stands at the bit-reversed k (SEAL,
 * BatchEncoder::populate_matrix_reps_index_map).
 */
function slotPositions(degree: number): Uint32Array {
  const bits = Math.log2(degree);
  const positions = new Uint32Array(degree);
  for (let i = 0, exponent = 1; i < degree / 2; i++, exponent = (exponent * 3) % (2 * degree)) {
    positions[i] = reversed((exponent - 1) / 2, bits);
    positions[i + degree / 2] = reversed((2 * degree - exponent - 1) / 2, bits);
  }
  return positions;
}

function reversed(x: number, bits: number): number {
  let result = 0;
  for (let k = 0; k < bits; k++) result |= ((x >> k) & 1) << (bits - 1 - k);
  return result;
}

function outOfRange(p: bigint): KmsError {
  return new KmsError('BAD_INPUT', `a value must be in 0..${p - 1n}`);
}
