import { KmsError } from '../errors.ts';
import type { Kernel } from './kernel/kernel.ts';
import { inverse } from './modular.ts';
import { shoupPair } from './modulus.ts';
import type { Residues, Ring } from './ring.ts';

/** Bound on |numerator| of the weights (PrssWeights keeps it). */
const NUMERATOR_LIMIT = 1n << 40n;
/** Adds that cannot overflow: C(13,4), all seeds of the largest committee. */
const MAX_ADDS = 715;

/** Limits that keep both kinds of sum exact. @throws {KmsError} BAD_INPUT beyond them */
export function checkAdd(numerator: bigint, adds: number): void {
  if (numerator <= -NUMERATOR_LIMIT || numerator >= NUMERATOR_LIMIT || adds > MAX_ADDS) {
    throw new KmsError('BAD_INPUT', `a sum takes ${MAX_ADDS} numerators below 2^40`);
  }
}

/**
 * sum_A f_A(i) * r_A for small r (ternary secrets, centred binomial errors), exact in signed 64 bits. The
 * values are secret, numerators public; no secret-dependent branch or index. Errors and disposal as for
 * WideSum.
 */
export class SmallSum {
  readonly #kernel: Kernel;
  readonly #count: number;
  /** Accumulators, then one operand. */
  #acc: number | undefined;
  #adds = 0;

  constructor(kernel: Kernel, count: number) {
    if (!Number.isInteger(count) || count < 1)
      throw new KmsError('BAD_INPUT', `${count} is no number of values`);
    this.#kernel = kernel;
    this.#count = count;
    this.#acc = kernel.allocate(9 * count);
  }

  /**
   * Adds numerator * values. At most 715 times.
   * @param values count integers
   * @param numerator |numerator| < 2^40
   */
  add(values: Int8Array, numerator: bigint): void {
    const acc = this.#open();
    if (values.length !== this.#count) throw new KmsError('BAD_INPUT', `expected ${this.#count} values`);
    checkAdd(numerator, ++this.#adds);
    const at = acc + 8 * this.#count;
    this.#kernel.bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.length), at);
    this.#kernel.calls.smallAdd(acc, at, numerator, this.#count);
  }

  /**
   * (sum numerator * value) / denominator modulo every prime: k*count residues; coefficient form when count =
   * N.
   */
  finish(ring: Ring, denominator: bigint): Residues {
    const acc = this.#open();
    const row = 8 * this.#count;
    const result = new BigUint64Array(this.#count * ring.primes.length);
    this.#kernel.scratch(row + 16, (at) => {
      ring.moduli.forEach(({ q, record }, j) => {
        this.#kernel.write(at + row, BigUint64Array.from(shoupPair(inverse(denominator, q), q)));
        this.#kernel.calls.smallFinish(at, acc, at + row, this.#count, record);
        result.set(this.#kernel.words.subarray(at / 8, (at + row) / 8), j * this.#count);
      });
    });
    this[Symbol.dispose]();
    return result;
  }

  [Symbol.dispose](): void {
    if (this.#acc !== undefined) this.#kernel.release(this.#acc);
    this.#acc = undefined;
  }

  #open(): number {
    if (this.#acc === undefined) throw new KmsError('SESSION_CLOSED', 'this sum is finished');
    return this.#acc;
  }
}
