import { KmsError } from '../errors.ts';
import type { PartyId } from '../ids.ts';
import { divide, evaluate, interpolate, multiply, type Polynomial, subtract } from './polynomial.ts';

/** A word of evaluations, decoded. */
export interface DecodedWord {
  /** Degree at most t. */
  readonly polynomial: Polynomial;
  /** Parties whose value is not on the polynomial; ascending positions of `ids`. */
  readonly wrong: readonly PartyId[];
}

/**
 * The polynomial of degree <= t modulo the prime q with at most maxErrors of the values f(id) wrong, or
 * undefined if there is none. Unique for maxErrors <= (ids.length - t - 1) / 2. Bigint: its time shows the
 * error pattern.
 * @throws {KmsError} BAD_INPUT unless ids are distinct, with one value each, and maxErrors is within the
 * unique radius
 * @see Shuhong Gao, "A new algorithm for decoding Reed-Solomon codes" (2003)
 */
export function decodeWord(
  ids: readonly PartyId[],
  values: readonly bigint[],
  t: number,
  maxErrors: number,
  q: bigint,
): DecodedWord | undefined {
  if (ids.length !== values.length || new Set(ids).size !== ids.length) {
    throw new KmsError('BAD_INPUT', 'a word has one value for each of distinct parties');
  }
  if (maxErrors < 0 || 2 * maxErrors > ids.length - t - 1) {
    throw new KmsError(
      'BAD_INPUT',
      `${ids.length} values do not determine ${maxErrors} errors at degree ${t}`,
    );
  }
  const xs = ids.map(BigInt);
  const polynomial = gao(xs, values, t, q);
  if (polynomial === undefined) return undefined;
  const wrong = ids.filter((_, i) => evaluate(polynomial, xs[i]!, q) !== values[i]!);
  return wrong.length <= maxErrors ? { polynomial, wrong } : undefined;
}

/**
 * Extended Euclid on (prod (X - x_i), interpolant), stopped half way: remainder = f * cofactor if f exists.
 */
function gao(xs: readonly bigint[], values: readonly bigint[], t: number, q: bigint): Polynomial | undefined {
  let previous = xs.reduce<Polynomial>((product, x) => multiply(product, [q - (x % q), 1n], q), [1n]);
  let current = interpolate(xs, values, q);
  let [before, cofactor]: [Polynomial, Polynomial] = [[], [1n]];
  while (2 * (current.length - 1) >= xs.length + t + 1) {
    const [quotient, rest] = divide(previous, current, q);
    [previous, current] = [current, rest];
    [before, cofactor] = [cofactor, subtract(before, multiply(quotient, cofactor, q), q)];
  }
  const [polynomial, rest] = divide(current, cofactor, q);
  return rest.length === 0 && polynomial.length <= t + 1 ? polynomial : undefined;
}
