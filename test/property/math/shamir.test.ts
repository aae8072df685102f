import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { committee, corruptSets } from '../../../shared/committee.ts';
import { codeOf } from '../../../shared/errors.ts';
import { partyId } from '../../../shared/ids.ts';
import { evaluate, lagrange, PrssWeights, rationalMod } from '../../../shared/math/shamir.ts';
import { nttPrimes, powmod } from '../../oracle/primes.ts';

const primes = [20, 36, 54, 60].flatMap((bits) => nttPrimes(bits, 16, 2));
const prime = fc.constantFrom(...primes);

test('lagrange: interpolates any polynomial at any x from any degree + 1 parties', () => {
  const ids = fc.uniqueArray(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: 22 });
  const coefficients = fc.array(fc.bigInt({ min: 0n, max: (1n << 60n) - 1n }), {
    minLength: 22,
    maxLength: 22,
  });
  fc.assert(
    fc.property(prime, ids, coefficients, fc.integer({ min: 0, max: 70 }), (q, parties, all, x) => {
      const polynomial = all.slice(0, parties.length).map((c) => c % q);
      const weights = lagrange(
        parties.map((id) => partyId(id)),
        x,
        q,
      );
      const value = weights.reduce((sum, w, i) => (sum + w * evaluate(polynomial, parties[i]!, q)) % q, 0n);
      expect(value).toBe(polynomial.reduce((sum, c, k) => (sum + c * BigInt(x) ** BigInt(k)) % q, 0n));
    }),
    { numRuns: 200 },
  );
});

test('lagrange: refuses a repeated party', () => {
  let code = 'no error';
  try {
    lagrange([partyId(1), partyId(2), partyId(1)], 0, 97n);
  } catch (error) {
    code = codeOf(error);
  }
  expect(code).toBe('BAD_INPUT');
});

describe.each([
  [4, 1],
  [7, 2],
  [10, 3],
  [13, 4],
])('PRSS weights of (%i,%i)', (n, t) => {
  const of = committee(n, t);
  const weights = new PrssWeights(of);
  const sets = corruptSets(of);

  test('PrssWeights: numerators are exact integers below 2^40, zero exactly inside A', () => {
    for (const set of sets) {
      const below = set.reduce((product, a) => product * BigInt(a), 1n);
      for (const party of of.parties) {
        const numerator = weights.numerator(set, party);
        // f_A(i) = prod (a - i) / a
        expect(numerator * below).toBe(
          weights.denominator * set.reduce((product, a) => product * BigInt(a - party), 1n),
        );
        expect(numerator === 0n).toBe(set.includes(party));
        expect(numerator < 1n << 40n && -numerator < 1n << 40n).toBe(true);
      }
    }
  });

  test('PrssWeights: shares of sum r_A, each without the seeds of sets holding the party, open to it', () => {
    fc.assert(
      fc.property(
        prime,
        fc.array(fc.integer({ min: -50, max: 50 }), { minLength: sets.length, maxLength: sets.length }),
        (q, r) => {
          const points = of.parties.map((party) =>
            sets.reduce(
              (sum, set, k) =>
                set.includes(party) ? sum : sum + weights.numerator(set, party) * BigInt(r[k]!),
              0n,
            ),
          );
          const shares = points.map((x) => rationalMod(x, weights.denominator, q));
          const quorum = of.parties.slice(-(t + 1));
          const coefficients = lagrange(quorum, 0, q);
          const value = coefficients.reduce((sum, c, i) => (sum + c * shares[n - t - 1 + i]!) % q, 0n);
          expect(value).toBe(((BigInt(r.reduce((a, b) => a + b, 0)) % q) + q) % q);
        },
      ),
      { numRuns: 5 },
    );
  });
});

test('PrssWeights: refuses a committee whose weights would overflow the accumulators', () => {
  let code = 'no error';
  try {
    new PrssWeights(committee(19, 5));
  } catch (error) {
    code = codeOf(error);
  }
  expect(code).toBe('BAD_INPUT');
});

test('rationalMod: is numerator times inverse', () => {
  fc.assert(
    fc.property(prime, fc.bigInt(), fc.bigInt({ min: 1n, max: 1000n }), (q, a, b) => {
      expect(rationalMod(a, b, q)).toBe(((((a % q) + q) % q) * powmod(b, q - 2n, q)) % q);
    }),
  );
});
