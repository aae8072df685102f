import { powmod } from './primes.ts';

/** Bigint polynomials modulo X^N + 1 and q by their definitions: slow, for small N. */

const residue = (x: bigint, q: bigint): bigint => ((x % q) + q) % q;

/** Schoolbook product. */
export function product(a: readonly bigint[], b: readonly bigint[], q: bigint): bigint[] {
  const n = a.length;
  const sum = new Array<bigint>(n).fill(0n);
  a.forEach((x, i) => {
    b.forEach((y, j) => {
      const k = (i + j) % n;
      sum[k] = sum[k]! + (i + j < n ? x * y : -x * y);
    });
  });
  return sum.map((x) => residue(x, q));
}

/** Coefficient 0 of the product, without the others. */
export function productConstant(a: readonly bigint[], b: readonly bigint[], q: bigint): bigint {
  return residue(
    a.reduce((sum, x, i) => (i === 0 ? x * b[0]! : sum - x * b[b.length - i]!), 0n),
    q,
  );
}

/** The smallest of all primitive 2n-th roots, by trying every power of one. */
export function smallestRoot(n: number, q: bigint): bigint {
  for (let g = 2n; ; g++) {
    const root = powmod(g, (q - 1n) / BigInt(2 * n), q);
    if (powmod(root, BigInt(n), q) !== q - 1n) continue;
    const odd = Array.from({ length: n }, (_, i) => powmod(root, BigInt(2 * i + 1), q));
    return odd.sort((a, b) => (a < b ? -1 : 1))[0]!;
  }
}

export function reversed(i: number, n: number): number {
  const bits = Math.log2(n);
  return Number.parseInt([...i.toString(2).padStart(bits, '0')].reverse().join(''), 2);
}

/** Value at psi^(2 brv(i) + 1) for every i: the transform in SEAL's order. */
export function transform(a: readonly bigint[], q: bigint): bigint[] {
  const psi = smallestRoot(a.length, q);
  return a.map((_, i) => {
    const x = powmod(psi, BigInt(2 * reversed(i, a.length) + 1), q);
    return a.reduceRight((value, coefficient) => (value * x + coefficient) % q, 0n);
  });
}

/** a(X^g) */
export function automorphism(a: readonly bigint[], g: number, q: bigint): bigint[] {
  const n = a.length;
  const image = new Array<bigint>(n).fill(0n);
  a.forEach((x, i) => {
    const k = (i * g) % (2 * n);
    image[k % n] = residue(k < n ? x : -x, q);
  });
  return image;
}
