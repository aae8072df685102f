import { describe, expect, test } from 'vitest';
import { codeOf } from '../../../shared/errors.ts';
import { Kernel } from '../../../shared/math/kernel/kernel.ts';
import { minimalPrimitiveRoot, power } from '../../../shared/math/modular.ts';
import { Ring } from '../../../shared/math/ring.ts';
import { automorphism, product, productConstant, reversed, transform } from '../../oracle/negacyclic.ts';
import { nttPrimes } from '../../oracle/primes.ts';
import { reconstruct, residuesOf, rounded } from '../../oracle/rns.ts';
import { stream, values } from '../../oracle/stream.ts';

const kernel = await Kernel.load();

const code = (f: () => unknown): string => {
  try {
    f();
  } catch (error) {
    return codeOf(error);
  }
  return 'no error';
};
const split = (a: BigUint64Array, n: number): bigint[][] =>
  Array.from({ length: a.length / n }, (_, j) => [...a.subarray(j * n, (j + 1) * n)]);

const shapes = [16, 17, 20, 27, 28, 29, 31, 32, 33, 40, 47, 54, 56, 57, 58, 59, 60].flatMap((bits) =>
  [8, 16, 64].map((degree) => ({ bits, degree })),
);

describe.each(shapes)('ring of degree $degree over primes of $bits bits', ({ bits, degree }) => {
  const primes = nttPrimes(bits, degree, 2);
  const ring = new Ring(kernel, degree, primes);
  const element = (name: string): BigUint64Array =>
    BigUint64Array.from(primes.flatMap((q) => values(`${name} ${bits} ${degree} ${q}`, degree, q)));
  const a = element('a');
  const b = BigUint64Array.from(split(element('b'), degree).flatMap((row) => row.reverse()));
  const largest = BigUint64Array.from(primes.flatMap((q) => new Array<bigint>(degree).fill(q - 1n)));
  const pointwise = (f: (x: bigint, y: bigint, q: bigint) => bigint, x: BigUint64Array, y: BigUint64Array) =>
    x.map((value, i) => f(value, y[i]!, primes[Math.floor(i / degree)]!));

  test.each([
    ['random', a],
    ['largest', largest],
  ])('ntt: %s residues give the values at odd powers of the smallest root, bit-reversed', (_, x) => {
    const image = x.slice();
    ring.ntt(image);
    expect(split(image, degree)).toEqual(split(x, degree).map((row, j) => transform(row, primes[j]!)));
    ring.intt(image);
    expect(image).toEqual(x);
  });

  test('intt: largest slots come back through ntt', () => {
    const image = largest.slice();
    ring.intt(image);
    expect(ring.isReduced(image)).toBe(true);
    ring.ntt(image);
    expect(image).toEqual(largest);
  });

  test('mul: of transforms is the schoolbook negacyclic product', () => {
    const [x, y] = [a.slice(), b.slice()];
    ring.ntt(x);
    ring.ntt(y);
    const z = ring.mul(x, y);
    ring.intt(z);
    expect(split(z, degree)).toEqual(
      split(a, degree).map((row, j) => product(row, split(b, degree)[j]!, primes[j]!)),
    );
  });

  test('pointwise: add, sub, neg, mul, mulAcc, scale agree with bigints at edges and inside', () => {
    for (const [x, y] of [
      [a, b],
      [a, a],
      [largest, largest],
      [largest, a],
      [ring.zero(), largest],
    ] as const) {
      expect(ring.add(x, y)).toEqual(pointwise((u, v, q) => (u + v) % q, x, y));
      expect(ring.sub(x, y)).toEqual(pointwise((u, v, q) => (u - v + q) % q, x, y));
      expect(ring.neg(x)).toEqual(pointwise((u, _, q) => (q - u) % q, x, y));
      expect(ring.mul(x, y)).toEqual(pointwise((u, v, q) => (u * v) % q, x, y));
      const acc = y.slice();
      ring.mulAcc(acc, x, y);
      expect(acc).toEqual(pointwise((u, v, q) => (v + u * v) % q, x, y));
      const sum = x.slice();
      ring.addTo(sum, y);
      expect(sum).toEqual(pointwise((u, v, q) => (u + v) % q, x, y));
      const product = x.slice();
      ring.mulTo(product, y);
      expect(product).toEqual(pointwise((u, v, q) => (u * v) % q, x, y));
      const constants = [-1n, (1n << 70n) + 3n];
      expect(ring.scale(x, constants)).toEqual(
        residuesOfRows(split(x, degree), (u, j) => u * constants[j]!, primes),
      );
    }
  });

  test('constantCoefficient: is coefficient 0 of the product', () => {
    for (const [x, y] of [
      [a, b],
      [largest, largest],
    ] as const) {
      expect([...ring.constantCoefficient(x, y)]).toEqual(
        primes.map((q, j) => productConstant(split(x, degree)[j]!, split(y, degree)[j]!, q)),
      );
    }
  });

  test('divideAndRoundLast: is the rounded quotient of the integers', () => {
    for (const x of [a, b, largest, ring.zero()]) {
      const quotients = reconstruct(x, primes).map((value) => rounded(value, primes[1]!));
      expect(ring.divideAndRoundLast(x)).toEqual(residuesOf(quotients, primes.slice(0, 1)));
    }
  });

  test('isReduced: only when every residue is below its prime', () => {
    expect(ring.isReduced(largest)).toBe(true);
    for (const at of [0, degree - 1, degree, 2 * degree - 1]) {
      for (const value of [primes[Math.floor(at / degree)]!, (1n << 64n) - 1n]) {
        const bad = a.slice();
        bad[at] = value;
        expect(ring.isReduced(bad)).toBe(false);
      }
    }
    expect(ring.isReduced(a.subarray(1))).toBe(false);
  });

  test('uniform: reduces 192-bit integers', () => {
    for (const bytes of [stream('uniform', 24 * ring.length), new Uint8Array(24 * ring.length).fill(255)]) {
      const words = new BigUint64Array(bytes.buffer);
      const integers = Array.from(
        { length: ring.length },
        (_, i) => words[3 * i]! + (words[3 * i + 1]! << 64n) + (words[3 * i + 2]! << 128n),
      );
      expect([...ring.uniform(bytes)]).toEqual(integers.map((x, i) => x % primes[Math.floor(i / degree)]!));
    }
  });

  test('fromSigned: takes every width and both ends of its range', () => {
    const ends64 = [-(1n << 63n), (1n << 63n) - 1n, 0n, -1n, 1n];
    const wide = BigInt64Array.from(
      { length: degree },
      (_, i) => ends64[i] ?? BigInt(i - 20) * 12345678901234n,
    );
    const middle = Int32Array.from({ length: degree }, (_, i) => [-(2 ** 31), 2 ** 31 - 1, -1][i] ?? i - 30);
    const small = Int8Array.from({ length: degree }, (_, i) => [-128, 127, -1][i] ?? i - 30);
    for (const source of [wide, middle, small]) {
      expect(ring.fromSigned(source)).toEqual(residuesOf(Array.from(source, BigInt), primes));
    }
  });

  test('automorphism: of a transform is the transform of a(X^g)', () => {
    const image = a.slice();
    ring.ntt(image);
    for (const g of [1, 3, 5, degree + 1, 2 * degree - 1]) {
      const moved = ring.automorphism(image, g);
      ring.intt(moved);
      expect(split(moved, degree)).toEqual(
        split(a, degree).map((row, j) => automorphism(row, g, primes[j]!)),
      );
    }
  });
});

describe.each([
  { bits: 56, degree: 32768 },
  { bits: 57, degree: 32768 },
  { bits: 57, degree: 16384 },
  { bits: 60, degree: 32768 },
  { bits: 60, degree: 8192 },
])('ring of degree $degree, prime of $bits bits', ({ bits, degree }) => {
  const [q] = nttPrimes(bits, degree);
  const ring = new Ring(kernel, degree, [q!]);
  const largest = new BigUint64Array(degree).fill(q! - 1n);
  const random = BigUint64Array.from(values(`large ${bits}`, degree, q!));

  test.each([
    ['largest', largest],
    ['random', random],
  ])('ntt, intt: %s residues overflow nowhere', (_, a) => {
    const image = a.slice();
    ring.ntt(image);
    expect(ring.isReduced(image)).toBe(true);
    const psi = minimalPrimitiveRoot(2 * degree, q!);
    for (const slot of [0, 1, 5, degree / 2, degree - 1]) {
      const x = power(psi, BigInt(2 * reversed(slot, degree) + 1), q!);
      expect(image[slot]).toBe(a.reduceRight((value, coefficient) => (value * x + coefficient) % q!, 0n));
    }
    ring.intt(image);
    expect(image).toEqual(a);
    const slots = a.slice();
    ring.intt(slots);
    ring.ntt(slots);
    expect(slots).toEqual(a);
  });

  test('constantCoefficient: largest and random residues overflow nowhere', () => {
    for (const [x, y] of [
      [largest, largest],
      [random, largest],
      [random, random],
    ] as const) {
      expect(ring.constantCoefficient(x, y)[0]).toBe(productConstant([...x], [...y], q!));
    }
  });
});

function residuesOfRows(
  rows: readonly (readonly bigint[])[],
  f: (x: bigint, j: number) => bigint,
  primes: readonly bigint[],
): BigUint64Array {
  return BigUint64Array.from(
    rows.flatMap((row, j) => row.map((x) => ((f(x, j) % primes[j]!) + primes[j]!) % primes[j]!)),
  );
}

describe('ring', () => {
  const degree = 16;
  const primes = [...nttPrimes(54, degree, 2), ...nttPrimes(60, degree, 6)];
  const ring = new Ring(kernel, degree, primes);

  test('scaleToPlain: is round(p x / Q) mod p but within the documented slack of a half', () => {
    const whole = primes.reduce((x, q) => x * q, 1n);
    for (const p of [2n, 65537n, (1n << 33n) - 9n, (1n << 59n) + 21n]) {
      const slack = (BigInt(primes.length) * p * whole) >> 63n;
      const half = whole / (2n * p);
      const near = [half - (slack / p) * 2n, half + (slack / p) * 2n].filter((x) => x >= 0n);
      const integers = [0n, 1n, whole - 1n, whole / 2n, whole / p, ...near];
      while (integers.length < degree) {
        const i = integers.length;
        integers.push(((whole * BigInt(7919 * i)) / 131_071n / (i % 2 === 0 ? 1n : 3n)) % whole);
      }
      const result = ring.scaleToPlain(residuesOf(integers, primes), p);
      integers.forEach((x, i) => {
        const exact = rounded(p * x, whole) % p;
        const least = rounded(p * x > slack ? p * x - slack : 0n, whole) % p;
        expect([exact, least]).toContain(result[i]);
      });
    }
  });

  test('scaleToPlain: recovers every plaintext under noise far below Q/2p', () => {
    const three = ring.take(3);
    const whole = three.primes.reduce((x, q) => x * q, 1n);
    const p = 1032193n;
    const plain = values('plain', degree, p);
    const noisy = plain.map(
      (m, i) => (rounded(m * whole, p) + (BigInt(i - 8) * whole) / (20n * p) + whole) % whole,
    );
    expect([...three.scaleToPlain(residuesOf(noisy, three.primes), p)]).toEqual(plain);
  });

  test('take: gives the same ring over the first primes each time', () => {
    expect(ring.take(2)).toBe(ring.take(2));
    expect(ring.take(8)).toBe(ring);
    expect(ring.take(2).primes).toEqual(primes.slice(0, 2));
  });

  test('zeroization: no operation leaves its operands in kernel memory', () => {
    const marker = BigUint64Array.from({ length: ring.length }, (_, i) => 0xdeadbeefn + BigInt(i));
    const dirty = (): boolean => {
      const words = kernel.words;
      for (let i = 0; i < words.length; i++)
        if (words[i]! - 0xdeadbeefn < 128n && words[i]! >= 0xdeadbeefn) return true;
      return false;
    };
    ring.add(marker, ring.zero());
    ring.mul(marker, marker);
    ring.constantCoefficient(marker, marker);
    ring.divideAndRoundLast(marker);
    ring.fromSigned(BigInt64Array.from(marker.subarray(0, degree)));
    expect(dirty()).toBe(false);
    // The search does find residues while they are there.
    kernel.scratch(128, (at) => {
      kernel.write(at, marker.subarray(0, 16));
      expect(dirty()).toBe(true);
    });
  });

  test.each([
    ['degree not a power of two', () => new Ring(kernel, 24, primes)],
    ['degree too small', () => new Ring(kernel, 4, primes)],
    ['degree too large', () => new Ring(kernel, 65536, primes)],
    ['no primes', () => new Ring(kernel, degree, [])],
    ['repeated prime', () => new Ring(kernel, degree, [primes[0]!, primes[0]!])],
    ['composite', () => new Ring(kernel, degree, [(1n << 32n) + 1n])],
    ['prime not 1 mod 2N', () => new Ring(kernel, degree, [1000003n])],
    ['prime too long', () => new Ring(kernel, degree, nttPrimes(61, degree))],
    ['prime too short', () => new Ring(kernel, degree, nttPrimes(14, degree))],
    ['take none', () => ring.take(0)],
    ['take too many', () => ring.take(9)],
    ['wrong length', () => ring.add(ring.zero(), new BigUint64Array(degree))],
    ['wrong length in place', () => ring.ntt(new BigUint64Array(degree))],
    ['constants', () => ring.scale(ring.zero(), [1n])],
    ['signed length', () => ring.fromSigned(new Int8Array(degree - 1))],
    ['even Galois element', () => ring.automorphism(ring.zero(), 2)],
    ['large Galois element', () => ring.automorphism(ring.zero(), 2 * degree + 1)],
    ['short keystream', () => ring.uniform(new Uint8Array(24))],
    ['divide with one prime', () => ring.take(1).divideAndRoundLast(ring.take(1).zero())],
    ['plaintext modulus', () => ring.scaleToPlain(ring.zero(), 1n << 60n)],
  ])('bad input: %s', (_, f) => {
    expect(code(f)).toBe('BAD_INPUT');
  });
});
