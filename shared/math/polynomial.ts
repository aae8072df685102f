import { inverse, mod } from './modular.ts';

/**
 * Polynomials over Z_q, q prime, as coefficients from the constant up, without leading zeros ([] is zero).
 * Bigint arithmetic: public data, or data whose timing may show.
 */
export type Polynomial = readonly bigint[];

export function evaluate(f: Polynomial, x: bigint, q: bigint): bigint {
  return f.reduceRight((value, coefficient) => mod(value * x + coefficient, q), 0n);
}

export function subtract(f: Polynomial, g: Polynomial, q: bigint): Polynomial {
  return trimmed(
    Array.from({ length: Math.max(f.length, g.length) }, (_, i) => mod((f[i] ?? 0n) - (g[i] ?? 0n), q)),
  );
}

export function multiply(f: Polynomial, g: Polynomial, q: bigint): Polynomial {
  if (f.length === 0 || g.length === 0) return [];
  const product = new Array<bigint>(f.length + g.length - 1).fill(0n);
  f.forEach((a, i) => {
    g.forEach((b, j) => {
      product[i + j] = (product[i + j]! + a * b) % q;
    });
  });
  return trimmed(product);
}

/** Quotient and remainder of f by g, g not zero. */
export function divide(f: Polynomial, g: Polynomial, q: bigint): [Polynomial, Polynomial] {
  const rest = [...f];
  const quotient = new Array<bigint>(Math.max(0, f.length - g.length + 1)).fill(0n);
  const lead = inverse(g.at(-1)!, q);
  for (let at = quotient.length - 1; at >= 0; at--) {
    const factor = (rest[at + g.length - 1]! * lead) % q;
    quotient[at] = factor;
    g.forEach((coefficient, i) => {
      rest[at + i] = mod(rest[at + i]! - factor * coefficient, q);
    });
  }
  return [trimmed(quotient), trimmed(rest)];
}

/**
 * The polynomial of degree below xs.length through the points (xs[i], ys[i]); xs distinct modulo q (Newton).
 */
export function interpolate(xs: readonly bigint[], ys: readonly bigint[], q: bigint): Polynomial {
  let result: Polynomial = [];
  let basis: Polynomial = [1n];
  xs.forEach((x, i) => {
    const gap = mod(ys[i]! - evaluate(result, x, q), q);
    const factor = (gap * inverse(evaluate(basis, x, q), q)) % q;
    result = subtract(result, multiply(basis, [mod(-factor, q)], q), q);
    basis = multiply(basis, [mod(-x, q), 1n], q);
  });
  return result;
}

function trimmed(f: readonly bigint[]): Polynomial {
  let length = f.length;
  while (length > 0 && f[length - 1] === 0n) length--;
  return f.slice(0, length);
}
