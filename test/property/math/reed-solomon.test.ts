import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codeOf } from '../../../shared/errors.ts';
import { type PartyId, partyId } from '../../../shared/ids.ts';
import { evaluate } from '../../../shared/math/polynomial.ts';
import { decodeWord } from '../../../shared/math/reed-solomon.ts';
import { nttPrimes } from '../../oracle/primes.ts';

const primes = [16, 36, 54, 60].flatMap((bits) => nttPrimes(bits, 16, 1));
const prime = fc.constantFrom(...primes);
const words = (n: number): PartyId[] => Array.from({ length: n }, (_, i) => partyId(i + 1));

/** A word with chosen errors: [ids, values, polynomial, wrong ids]. */
const scenario = (most: number) =>
  fc
    .record({
      q: prime,
      t: fc.integer({ min: 1, max: 6 }),
      ids: fc.uniqueArray(fc.integer({ min: 1, max: 64 }), { minLength: 8, maxLength: 20 }),
      coefficients: fc.array(fc.bigInt({ min: 0n, max: (1n << 60n) - 1n }), { minLength: 7, maxLength: 7 }),
      zeros: fc.integer({ min: 0, max: 7 }),
      offsets: fc.array(fc.bigInt({ min: 1n, max: (1n << 60n) - 1n }), { minLength: most, maxLength: most }),
    })
    .map(({ q, t, ids, coefficients, zeros, offsets }) => {
      const polynomial = coefficients.slice(0, t + 1).map((c, k) => (k > t - zeros ? 0n : c % q));
      const parties = ids.map((id) => partyId(id));
      const values = parties.map((id) => evaluate(polynomial, BigInt(id), q));
      return { q, t, parties, polynomial, values, offsets };
    });

test('decodeWord: corrects every number of errors up to the unique radius and names them', () => {
  fc.assert(
    fc.property(scenario(10), fc.nat(), ({ q, t, parties, polynomial, values, offsets }, size) => {
      const radius = Math.floor((parties.length - t - 1) / 2);
      const errors = size % (radius + 1);
      const word = values.map((y, i) => (i < errors ? (y + 1n + (offsets[i]! % (q - 1n))) % q : y));
      const decoded = decodeWord(parties, word, t, radius, q);
      expect(decoded?.wrong).toEqual(parties.slice(0, errors));
      for (let x = 0n; x < 5n; x++) {
        expect(evaluate(decoded!.polynomial, x, q)).toBe(evaluate(polynomial, x, q));
      }
      expect(decoded!.polynomial.length).toBeLessThanOrEqual(t + 1);
    }),
    { numRuns: 300 },
  );
});

test('decodeWord: with more errors never gives a polynomial that too few values agree with', () => {
  fc.assert(
    fc.property(scenario(20), fc.nat(), ({ q, t, parties, values, offsets }, size) => {
      const radius = Math.floor((parties.length - t - 1) / 2);
      const limit = size % (radius + 1);
      const word = values.map((y, i) => (i % 3 < 2 ? (y + offsets[i]!) % q : y));
      const decoded = decodeWord(parties, word, t, limit, q);
      if (decoded === undefined) return;
      const wrong = parties.filter((id, i) => evaluate(decoded.polynomial, BigInt(id), q) !== word[i]);
      expect(decoded.wrong).toEqual(wrong);
      expect(wrong.length).toBeLessThanOrEqual(limit);
    }),
    { numRuns: 300 },
  );
});

describe('decodeWord', () => {
  const q = primes[2]!;

  test('a word of zeros, and one of zeros with errors, decode to zero', () => {
    expect(decodeWord(words(4), [0n, 0n, 0n, 0n], 1, 1, q)).toEqual({ polynomial: [], wrong: [] });
    expect(decodeWord(words(4), [0n, 0n, 7n, 0n], 1, 1, q)).toEqual({ polynomial: [], wrong: [3] });
  });

  test('one error beyond the limit is not corrected', () => {
    const values = words(4).map((id) => BigInt(5 + 3 * id));
    values[1] = 0n;
    expect(decodeWord(words(4), values, 1, 0, q)).toBeUndefined();
    expect(decodeWord(words(4), values, 1, 1, q)?.wrong).toEqual([2]);
  });

  test.each([
    ['values missing', () => decodeWord(words(4), [1n], 1, 1, q)],
    ['party twice', () => decodeWord([partyId(1), partyId(1)], [1n, 1n], 0, 0, q)],
    ['more errors than the code corrects', () => decodeWord(words(4), [1n, 2n, 3n, 4n], 1, 2, q)],
    ['negative limit', () => decodeWord(words(4), [1n, 2n, 3n, 4n], 1, -1, q)],
  ])('bad input: %s', (_, f) => {
    let code = 'no error';
    try {
      f();
    } catch (error) {
      code = codeOf(error);
    }
    expect(code).toBe('BAD_INPUT');
  });
});
