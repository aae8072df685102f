import { expect, test } from 'vitest';
import { codeOf } from '../../../shared/errors.ts';
import { inverse, isPrime, minimalPrimitiveRoot, mod, power } from '../../../shared/math/modular.ts';
import { smallestRoot } from '../../oracle/negacyclic.ts';
import { nttPrimes, isPrime as oracle, powmod } from '../../oracle/primes.ts';
import { values } from '../../oracle/stream.ts';

const code = (f: () => unknown): string => {
  try {
    f();
  } catch (error) {
    return codeOf(error);
  }
  return 'no error';
};

test('isPrime: agrees with trial division below 5000', () => {
  for (let n = 0; n < 5000; n++) {
    let divisors = 0;
    for (let d = 1; d <= n && divisors < 3; d++) if (n % d === 0) divisors++;
    expect(isPrime(BigInt(n))).toBe(divisors === 2);
  }
});

test('isPrime: sees through Carmichael numbers, strong pseudoprimes and 60-bit products', () => {
  for (const n of [561n, 41041n, 3215031751n, 3825123056546413051n, 318665857834031151167461n]) {
    expect(isPrime(n)).toBe(false);
  }
  const [p, q] = nttPrimes(30, 16, 2);
  expect(isPrime(p! * q!)).toBe(false);
  expect(isPrime((1n << 61n) - 1n)).toBe(true);
  for (const n of values('primality', 200, 1n << 60n)) expect(isPrime(n)).toBe(oracle(n));
});

test('power, inverse, mod: hold at edges and inside', () => {
  const q = nttPrimes(60, 16)[0]!;
  for (const x of values('inverse', 50, q)) {
    expect(power(x, q - 2n, q)).toBe(powmod(x, q - 2n, q));
    if (x !== 0n) expect((inverse(x, q) * x) % q).toBe(1n);
    expect(mod(-x, q)).toBe(x === 0n ? 0n : q - x);
  }
  expect(inverse(-1n, q)).toBe(q - 1n);
  expect(power(0n, 0n, q)).toBe(1n);
  expect(code(() => inverse(0n, q))).toBe('BAD_INPUT');
  expect(code(() => inverse(6n, 9n))).toBe('BAD_INPUT');
});

test('minimalPrimitiveRoot: is the smallest of all primitive roots', () => {
  for (const [bits, degree] of [
    [20, 8],
    [40, 64],
    [60, 256],
  ] as const) {
    for (const q of nttPrimes(bits, degree, 2)) {
      expect(minimalPrimitiveRoot(2 * degree, q)).toBe(smallestRoot(degree, q));
    }
  }
  expect(code(() => minimalPrimitiveRoot(16, 19n))).toBe('BAD_INPUT');
});
