import { powmod } from './primes.ts';

/** Integers in [0, Q) from prime-major residues, n per prime. */
export function reconstruct(residues: BigUint64Array, primes: readonly bigint[]): bigint[] {
  const whole = primes.reduce((x, q) => x * q, 1n);
  const n = residues.length / primes.length;
  const basis = primes.map((q) => (whole / q) * powmod((whole / q) % q, q - 2n, q));
  return Array.from(
    { length: n },
    (_, i) => basis.reduce((x, b, j) => x + b * residues[j * n + i]!, 0n) % whole,
  );
}

/** Prime-major residues of integers. */
export function residuesOf(values: readonly bigint[], primes: readonly bigint[]): BigUint64Array {
  return BigUint64Array.from(primes.flatMap((q) => values.map((x) => ((x % q) + q) % q)));
}

/** round(a / b) with halves up, a >= 0, b > 0. */
export function rounded(a: bigint, b: bigint): bigint {
  return (2n * a + b) / (2n * b);
}
