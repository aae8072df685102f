import { KmsError } from '../errors.ts';

const permutations = new Map<string, Uint32Array>();

/**
 * sigma_g: X -> X^g as a permutation of slots: slot i of the image is slot permutation[i] of the element. In
 * SEAL's order slot i holds the value at psi^(2 brv(i) + 1); under sigma_g it is the element's value at g
 * times that exponent.
 * @throws {KmsError} BAD_INPUT unless g is odd in 1..2*degree-1
 */
export function automorphismPermutation(degree: number, g: number): Uint32Array {
  const name = `${degree}:${g}`;
  const known = permutations.get(name);
  if (known !== undefined) return known;
  if (!Number.isInteger(g) || g % 2 !== 1 || g < 1 || g >= 2 * degree) {
    throw new KmsError('BAD_INPUT', `Galois element ${g} is not odd in 1..${2 * degree - 1}`);
  }
  const bits = Math.log2(degree);
  const permutation = Uint32Array.from({ length: degree }, (_, i) =>
    reverse((((2 * reverse(i, bits) + 1) * g) % (2 * degree)) >> 1, bits),
  );
  permutations.set(name, permutation);
  return permutation;
}

/**
 * to[row + i] = from[row + permutation[i]] in every row. Constant time: only the public permutation gives
 * addresses.
 */
export function permuteRows(from: BigUint64Array, to: BigUint64Array, permutation: Uint32Array): void {
  // Halves of words: a move through a double could change bits, one through a bigint allocates.
  const source = new Uint32Array(from.buffer, from.byteOffset, 2 * from.length);
  const target = new Uint32Array(to.buffer, to.byteOffset, 2 * to.length);
  for (let row = 0; row < from.length; row += permutation.length) {
    for (let i = 0; i < permutation.length; i++) {
      const at = 2 * (row + permutation[i]!);
      target[2 * (row + i)] = source[at]!;
      target[2 * (row + i) + 1] = source[at + 1]!;
    }
  }
}

function reverse(x: number, bits: number): number {
  let reversed = 0;
  for (let k = 0; k < bits; k++) reversed |= ((x >> k) & 1) << (bits - 1 - k);
  return reversed;
}
