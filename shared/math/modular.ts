import { KmsError } from '../errors.ts';

/** Residue of x in [0, q). Public values only: bigint arithmetic is not constant time. */
export function mod(x: bigint, q: bigint): bigint {
  const r = x % q;
  return r < 0n ? r + q : r;
}

/** base^exponent mod q, exponent >= 0. Public values only. */
export function power(base: bigint, exponent: bigint, q: bigint): bigint {
  let result = 1n % q;
  let square = mod(base, q);
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % q;
    square = (square * square) % q;
  }
  return result;
}

/** Inverse of x modulo q. Public values only. @throws {KmsError} BAD_INPUT when gcd(x, q) is not 1 */
export function inverse(x: bigint, q: bigint): bigint {
  let [r0, r1, s0, s1] = [q, mod(x, q), 0n, 1n];
  while (r1 !== 0n) {
    const quotient = r0 / r1;
    [r0, r1] = [r1, r0 - quotient * r1];
    [s0, s1] = [s1, s0 - quotient * s1];
  }
  if (r0 !== 1n) throw new KmsError('BAD_INPUT', `${x} has no inverse modulo ${q}`);
  return mod(s0, q);
}

/**
 * The first thirteen primes: Miller-Rabin with them is exact below 3.3 * 10^24 > 2^81 (Sorenson, Webster,
 * 2015).
 */
const witnesses = [2n, 3n, 5n, 7n, 11n, 13n, 17n, 19n, 23n, 29n, 31n, 37n, 41n];

/** Miller-Rabin, exact below 2^81. Public values only. */
export function isPrime(n: bigint): boolean {
  if (n < 2n) return false;
  for (const p of witnesses) if (n % p === 0n) return n === p;
  let odd = n - 1n;
  let twos = 0;
  while ((odd & 1n) === 0n) {
    odd >>= 1n;
    twos++;
  }
  return witnesses.every((witness) => {
    let x = power(witness, odd, n);
    if (x === 1n || x === n - 1n) return true;
    for (let i = 1; i < twos; i++) {
      x = (x * x) % n;
      if (x === n - 1n) return true;
    }
    return false;
  });
}

/**
 * The smallest primitive root of unity of order `order` (a power of two >= 2) modulo the prime q, as SEAL
 * picks it.
 * @throws {KmsError} BAD_INPUT when q is not 1 modulo order
 */
export function minimalPrimitiveRoot(order: number, q: bigint): bigint {
  const size = BigInt(order);
  if ((q - 1n) % size !== 0n) throw new KmsError('BAD_INPUT', `${q} is not 1 modulo ${order}`);
  let root = 1n;
  for (let g = 2n; ; g++) {
    root = power(g, (q - 1n) / size, q);
    if (power(root, size / 2n, q) === q - 1n) break;
  }
  // The primitive roots are the odd powers of any one of them.
  const square = (root * root) % q;
  let smallest = root;
  for (let i = 1; i < order / 2; i++) {
    root = (root * square) % q;
    if (root < smallest) smallest = root;
  }
  return smallest;
}
