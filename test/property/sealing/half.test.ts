import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemRng } from '../../../enclave/primitives.ts';
import { type PartyId, partyId } from '../../../shared/ids.ts';
import { invert, multiply } from '../../../shared/sealing/gf256.ts';
import { HALF_BYTES, type HalfShare, interpolateHalf, splitHalf } from '../../../shared/sealing/half.ts';

const byte = fc.nat(255);

/** Carry-less product of bigints, then long division by the field polynomial: nothing of the code under test. */
function slowProduct(a: number, b: number): number {
  let product = 0n;
  for (let bit = 0n; bit < 8n; bit++) if ((BigInt(b) >> bit) & 1n) product ^= BigInt(a) << bit;
  for (let bit = 15n; bit >= 8n; bit--) if ((product >> bit) & 1n) product ^= 0x11bn << (bit - 8n);
  return Number(product);
}

const products = Array.from({ length: 256 }, (_, a) =>
  Array.from({ length: 256 }, (_, b) => slowProduct(a, b)),
);
const times = (a: number, b: number): number => products[a]![b]!;

/** Coefficients of the polynomial through the points (Gauss). */
function solve(points: readonly (readonly [number, number])[]): readonly number[] {
  const rows = points.map(([x, y]) => {
    const row: number[] = [];
    for (let power = 1, i = 0; i < points.length; i++, power = times(power, x)) row.push(power);
    return [...row, y];
  });
  for (let column = 0; column < points.length; column++) {
    const pivot = rows.findIndex((row, i) => i >= column && row[column] !== 0);
    [rows[column], rows[pivot]] = [rows[pivot]!, rows[column]!];
    const inverse = products[rows[column]![column]!]!.indexOf(1);
    rows[column] = rows[column]!.map((value) => times(value, inverse));
    for (const [i, row] of rows.entries()) {
      const factor = row[column]!;
      if (i !== column) rows[i] = row.map((value, j) => value ^ times(factor, rows[column]![j]!));
    }
  }
  return rows.map((row) => row.at(-1)!);
}

describe('GF(2^8)', () => {
  it('gf256: every product is that of polynomials modulo x^8 + x^4 + x^3 + x + 1', () => {
    for (let a = 0; a < 256; a++) {
      for (let b = 0; b < 256; b++) if (multiply(a, b) !== slowProduct(a, b)) expect([a, b]).toBe('equal');
    }
    // FIPS 197 section 4.2.
    expect(multiply(0x57, 0x83)).toBe(0xc1);
    expect(multiply(0x57, 0x13)).toBe(0xfe);
  });

  it('gf256: every element but 0 has its inverse', () => {
    expect(invert(0)).toBe(0);
    for (let a = 1; a < 256; a++) expect(multiply(a, invert(a))).toBe(1);
  });

  it('gf256: is a field', () => {
    fc.assert(
      fc.property(byte, byte, byte, (a, b, c) => {
        expect(multiply(a, b)).toBe(multiply(b, a));
        expect(multiply(multiply(a, b), c)).toBe(multiply(a, multiply(b, c)));
        expect(multiply(a, b ^ c)).toBe(multiply(a, b) ^ multiply(a, c));
      }),
    );
  });
});

const dealing = fc
  .record({ n: fc.integer({ min: 2, max: 12 }), seed: fc.nat(), self: fc.integer({ min: 1, max: 13 }) })
  .chain(({ n, ...rest }) =>
    fc.record({
      ...{ n: fc.constant(n), self: fc.constant(rest.self) },
      threshold: fc.integer({ min: 1, max: n }),
    }),
  );

function dealt(n: number, threshold: number, self: number): { half: Uint8Array; shares: HalfShare[] } {
  const holders: PartyId[] = Array.from({ length: n + 1 }, (_, i) => partyId(i + 1)).filter(
    (p) => p !== self,
  );
  const half = systemRng(HALF_BYTES);
  return { half, shares: splitHalf(half, holders.slice(0, n), threshold, systemRng) };
}

describe('halves', () => {
  it('half: any threshold of shares determines it, and every other share', () => {
    fc.assert(
      fc.property(dealing, fc.infiniteStream(fc.nat(1000)), ({ n, threshold, self }, order) => {
        const { half, shares } = dealt(n, threshold, self);
        const keyed = shares.map((share) => ({ share, key: order.next().value }));
        const some = keyed
          .sort((a, b) => a.key - b.key)
          .map(({ share }) => share)
          .slice(0, threshold);
        expect(interpolateHalf(some, 0)).toEqual(half);
        for (const { party, value } of shares) expect(interpolateHalf(some, party)).toEqual(value);
      }),
    );
  });

  it('half: shares lie on polynomials of degree below the threshold whose constants are the half', () => {
    const { half, shares } = dealt(6, 4, 2);
    for (let i = 0; i < HALF_BYTES; i++) {
      const points = shares.map(({ party, value }) => [party, value[i]!] as const);
      const coefficients = solve(points);
      expect(coefficients[0]).toBe(half[i]);
      expect(coefficients.slice(4)).toEqual([0, 0]);
      expect(solve(points.slice(0, 4))).toEqual(coefficients.slice(0, 4));
    }
  });

  it('half: one share fewer says nothing: every guess of the half has exactly one polynomial through them', () => {
    const threshold = 3;
    const { shares } = dealt(5, threshold, 1);
    const known = shares.slice(1, threshold);
    for (let i = 0; i < HALF_BYTES; i++) {
      const highest = new Set<number>();
      for (let guess = 0; guess < 256; guess++) {
        const points = [[0, guess] as const, ...known.map(({ party, value }) => [party, value[i]!] as const)];
        const coefficients = solve(points);
        expect(coefficients[0]).toBe(guess);
        highest.add(coefficients.at(-1)!);
      }
      // Uniform coefficients make all of them equally likely.
      expect(highest.size).toBe(256);
    }
  });

  it('half: each byte has a polynomial of its own', () => {
    const shares = splitHalf(
      new Uint8Array(HALF_BYTES),
      [1, 2, 3].map((i) => partyId(i)),
      2,
      systemRng,
    );
    for (const { value } of shares) expect(new Set(value).size).toBeGreaterThan(16);
  });

  it('half: what is no half, or names a party twice, is refused', () => {
    const holders = [1, 2, 3].map((i) => partyId(i));
    const bad = { code: 'BAD_INPUT' };
    const refused = (make: () => unknown): void => expect(make).toThrow(expect.objectContaining(bad));
    refused(() => splitHalf(new Uint8Array(31), holders, 2, systemRng));
    refused(() => splitHalf(new Uint8Array(32), holders, 0, systemRng));
    refused(() => splitHalf(new Uint8Array(32), holders, 4, systemRng));
    const [first] = splitHalf(new Uint8Array(32), holders, 2, systemRng);
    refused(() => interpolateHalf([first!, first!], 0));
    refused(() => interpolateHalf([], 0));
  });
});
