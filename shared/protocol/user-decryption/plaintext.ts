import type { ValueKind } from '../../fhe/envelope.ts';
import type { Preset } from '../../fhe/presets.ts';
import { inverse } from '../../math/modular.ts';
import type { Residues, Ring } from '../../math/ring.ts';

/**
 * The plaintext polynomial of a ciphertext from its opened partial decryption: round(p/Q * (c0 + d)) mod p.
 * @param ring over the primes of the decryption level
 * @param c0 coefficient form, k*N residues
 * @param d opened c1*s plus flood: k*N residues (vector), or coefficient 0 per prime, k words (scalar)
 * @returns the coefficients: N (vector) or 1 (scalar)
 */
export function plaintextOf(
  ring: Ring,
  preset: Preset,
  kind: ValueKind,
  c0: Residues,
  d: Residues,
): BigUint64Array {
  if (kind === 'vector') return ring.scaleToPlain(ring.add(c0, d), preset.plainModulus);
  const residues = ring.primes.map((prime, j) => (c0[j * ring.degree]! + d[j]!) % prime);
  return BigUint64Array.of(scaledToPlain(ring.primes, residues, preset.plainModulus));
}

/** round(p*x/Q) mod p of one coefficient x in [0, Q), given by its residues; exact. */
function scaledToPlain(primes: readonly bigint[], residues: readonly bigint[], p: bigint): bigint {
  const modulus = primes.reduce((product, prime) => product * prime, 1n);
  let x = 0n;
  for (const [j, prime] of primes.entries()) {
    const others = modulus / prime;
    x += residues[j]! * others * inverse(others % prime, prime);
  }
  return (((x % modulus) * p * 2n + modulus) / (2n * modulus)) % p;
}
