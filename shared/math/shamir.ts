import { type Committee, corruptSets } from '../committee.ts';
import { KmsError } from '../errors.ts';
import type { PartyId } from '../ids.ts';
import { inverse, mod } from './modular.ts';
import { evaluate as evaluatePolynomial } from './polynomial.ts';

/**
 * Lagrange coefficients l_i with f(at) = sum l_i f(id_i) for every f of degree below ids.length. Public.
 * @param at 0 for the secret, or any x-coordinate
 * @throws {KmsError} BAD_INPUT when ids repeat modulo q
 */
export function lagrange(ids: readonly PartyId[], at: number, q: bigint): bigint[] {
  const x = BigInt(at);
  return ids.map((own, index) => {
    let numerator = 1n;
    let denominator = 1n;
    ids.forEach((other, position) => {
      if (position === index) return;
      numerator = mod(numerator * (x - BigInt(other)), q);
      denominator = mod(denominator * BigInt(own - other), q);
    });
    if (denominator === 0n) throw new KmsError('BAD_INPUT', 'x-coordinates repeat modulo q');
    return mod(numerator * inverse(denominator, q), q);
  });
}

/** Value at x of the polynomial with these coefficients (constant first), modulo q. */
export function evaluate(coefficients: readonly bigint[], at: number, q: bigint): bigint {
  return evaluatePolynomial(coefficients, BigInt(at), q);
}

/** numerator / denominator modulo q. @throws {KmsError} BAD_INPUT when q divides the denominator */
export function rationalMod(numerator: bigint, denominator: bigint, q: bigint): bigint {
  return mod(numerator * inverse(denominator, q), q);
}

/**
 * The PRSS polynomials f_A (protocols.md section 2: degree t, f_A(0) = 1, f_A(i) = 0 for i in A) as exact
 * rationals f_A(i) = numerator(A, i) / denominator, one denominator for the whole committee. Public.
 */
export class PrssWeights {
  /** Least common multiple of the denominators of all f_A; (13,4): 2^30.5. */
  readonly denominator: bigint;

  /** @throws {KmsError} BAD_INPUT when a numerator could reach 2^40, the limit of the accumulators */
  constructor(of: Committee) {
    const name = `${of.n},${of.t}`;
    this.denominator = denominators.get(name) ?? commonDenominator(of);
    if (denominators.has(name)) return;
    for (const set of corruptSets(of)) {
      for (const party of of.parties) {
        const size = this.numerator(set, party);
        if (size >= NUMERATOR_LIMIT || -size >= NUMERATOR_LIMIT) {
          throw new KmsError('BAD_INPUT', 'committee too large for exact PRSS weights');
        }
      }
    }
    denominators.set(name, this.denominator);
  }

  /** denominator * f_A(party); 0 for a party in A; |numerator| < 2^40. */
  numerator(set: readonly PartyId[], party: PartyId): bigint {
    return (
      (this.denominator / product(set.map(BigInt))) * product(set.map((member) => BigInt(member - party)))
    );
  }
}

const NUMERATOR_LIMIT = 1n << 40n;
/** Of committees whose weights have been checked. */
const denominators = new Map<string, bigint>();

function commonDenominator(of: Committee): bigint {
  return corruptSets(of)
    .map((set) => product(set.map(BigInt)))
    .reduce((common, below) => (common / gcd(common, below)) * below);
}

function product(values: readonly bigint[]): bigint {
  return values.reduce((result, value) => result * value, 1n);
}

function gcd(a: bigint, b: bigint): bigint {
  return b === 0n ? a : gcd(b, a % b);
}
