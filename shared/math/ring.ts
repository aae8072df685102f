import { KmsError } from '../errors.ts';
import { automorphismPermutation, permuteRows } from './automorphism.ts';
import type { Kernel } from './kernel/kernel.ts';
import { inverse, mod } from './modular.ts';
import { Modulus, shoupPair } from './modulus.ts';

/**
 * k*N residues, prime-major: residue of coefficient (or slot) i modulo prime j at j*N + i, each below its
 * prime.
 */
export type Residues = BigUint64Array;

/**
 * Z_Q[X]/(X^N + 1) in residue number system form, Q the product of k primes of 16..60 bits, each 1 mod 2N.
 * NTT form is SEAL's: minimal primitive 2N-th root, bit-reversed order. Elements are trusted to be reduced
 * (check what comes from outside with `isReduced`); a wrong length is BAD_INPUT. All operations but
 * `isReduced` are constant time in their elements, and zero the kernel memory they used.
 */
export class Ring {
  readonly kernel: Kernel;
  readonly degree: number;
  readonly primes: readonly bigint[];
  /** The primes' constants in the kernel's memory. */
  readonly moduli: readonly Modulus[];
  /** Number of residues of an element: k * N. */
  readonly length: number;
  readonly #taken = new Map<number, Ring>();

  /**
   * @throws {KmsError} BAD_INPUT unless degree is a power of two 8..32768 and the primes are distinct, 16..60
   * bits, 1 mod 2N
   */
  constructor(kernel: Kernel, degree: number, primes: readonly bigint[]) {
    if (!Number.isInteger(Math.log2(degree)) || degree < 8 || degree > 32_768) {
      throw new KmsError('BAD_INPUT', `ring degree ${degree} is not a power of two in 8..32768`);
    }
    if (primes.length === 0 || new Set(primes).size !== primes.length) {
      throw new KmsError('BAD_INPUT', 'a ring needs at least one prime, each once');
    }
    this.kernel = kernel;
    this.degree = degree;
    this.primes = primes;
    this.moduli = primes.map((q) => Modulus.of(kernel, degree, q));
    this.length = degree * primes.length;
  }

  /** The ring over the first `count` primes; the same object for the same count. */
  take(count: number): Ring {
    if (count === this.primes.length) return this;
    let ring = this.#taken.get(count);
    if (ring === undefined) {
      if (!Number.isInteger(count) || count < 1 || count > this.primes.length) {
        throw new KmsError('BAD_INPUT', `cannot take ${count} of ${this.primes.length} primes`);
      }
      ring = new Ring(this.kernel, this.degree, this.primes.slice(0, count));
      this.#taken.set(count, ring);
    }
    return ring;
  }

  zero(): Residues {
    return new BigUint64Array(this.length);
  }

  /** Coefficient form to NTT form, in place. */
  ntt(a: Residues): void {
    this.#rows([a], a, (at, { forward, record }) => this.kernel.calls.ntt(at, forward, this.degree, record));
  }

  /** NTT form to coefficient form, in place. */
  intt(a: Residues): void {
    this.#rows([a], a, (at, { backward, record }) =>
      this.kernel.calls.intt(at, backward, this.degree, record),
    );
  }

  /** Either form. */
  add(a: Residues, b: Residues): Residues {
    const row = 8 * this.degree;
    return this.#rows([a, b], this.zero(), (at, { record }) =>
      this.kernel.calls.add(at, at, at + row, this.degree, record),
    );
  }

  /** Either form. */
  sub(a: Residues, b: Residues): Residues {
    const row = 8 * this.degree;
    return this.#rows([a, b], this.zero(), (at, { record }) =>
      this.kernel.calls.sub(at, at, at + row, this.degree, record),
    );
  }

  /** Either form. */
  neg(a: Residues): Residues {
    return this.sub(this.zero(), a);
  }

  /** Pointwise; the ring product when both are in NTT form. */
  mul(a: Residues, b: Residues): Residues {
    const row = 8 * this.degree;
    return this.#rows([a, b], this.zero(), (at, { record }) =>
      this.kernel.calls.mul(at, at, at + row, this.degree, record),
    );
  }

  /** acc += b, in place. Either form. */
  addTo(acc: Residues, b: Residues): void {
    const row = 8 * this.degree;
    this.#rows([acc, b], acc, (at, { record }) =>
      this.kernel.calls.add(at, at, at + row, this.degree, record),
    );
  }

  /** acc *= b pointwise, in place. */
  mulTo(acc: Residues, b: Residues): void {
    const row = 8 * this.degree;
    this.#rows([acc, b], acc, (at, { record }) =>
      this.kernel.calls.mul(at, at, at + row, this.degree, record),
    );
  }

  /** acc += a * b pointwise, in place. */
  mulAcc(acc: Residues, a: Residues, b: Residues): void {
    const row = 8 * this.degree;
    this.#rows([acc, a, b], acc, (at, { record }) =>
      this.kernel.calls.mulAcc(at, at + row, at + 2 * row, this.degree, record),
    );
  }

  /** a times one public constant per prime (any integer, reduced here). Either form. */
  scale(a: Residues, perPrime: readonly bigint[]): Residues {
    if (perPrime.length !== this.primes.length) throw new KmsError('BAD_INPUT', 'one constant per prime');
    return this.kernel.scratch(16, (pair) =>
      this.#rows([a], this.zero(), (at, { q, record }, j) => {
        this.kernel.write(pair, BigUint64Array.from(shoupPair(mod(perPrime[j]!, q), q)));
        this.kernel.calls.scale(at, at, pair, this.degree, record);
      }),
    );
  }

  /** Coefficient form of N signed integers. */
  fromSigned(values: BigInt64Array | Int32Array | Int8Array): Residues {
    if (values.length !== this.degree) throw new KmsError('BAD_INPUT', `expected ${this.degree} integers`);
    return this.kernel.scratch(8 * this.degree, (source) => {
      this.kernel.bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), source);
      return this.#rows([], this.zero(), (at, { record }) =>
        this.kernel.calls.fromSigned(at, source, values.BYTES_PER_ELEMENT, this.degree, record),
      );
    });
  }

  /**
   * sigma_g: X -> X^g for odd g, of an element in NTT form.
   * @throws {KmsError} BAD_INPUT unless g is odd, below 2N
   */
  automorphism(a: Residues, g: number): Residues {
    this.#check(a);
    const result = this.zero();
    permuteRows(a, result, automorphismPermutation(this.degree, g));
    return result;
  }

  /** Coefficient 0 of c*s per prime, both in coefficient form: k words. */
  constantCoefficient(c: Residues, s: Residues): BigUint64Array {
    const row = 8 * this.degree;
    const result = new BigUint64Array(this.primes.length);
    this.#rows([c, s], undefined, (at, { record }, j) => {
      this.kernel.calls.constantCoefficient(at, at, at + row, this.degree, record);
      result[j] = this.kernel.words[at / 8]!;
    });
    return result;
  }

  /**
   * Coefficient form over k primes to k-1 primes: round(x / q_last), bit-identical to SEAL's BFV
   * mod_switch_to_next.
   * @throws {KmsError} BAD_INPUT when there is only one prime
   */
  divideAndRoundLast(a: Residues): Residues {
    this.#check(a);
    const shorter = this.take(this.primes.length - 1);
    const last = this.primes.at(-1)!;
    const half = last >> 1n;
    return this.kernel.scratch(8 * this.degree + 48, (top) => {
      const constants = top + 8 * this.degree;
      this.kernel.write(top, a.subarray(shorter.length));
      return shorter.#rows([a.subarray(0, shorter.length)], shorter.zero(), (at, { q, record }) => {
        const pair = shoupPair(inverse(last, q), q);
        this.kernel.write(constants, BigUint64Array.from([last, half, half % q, ...pair]));
        this.kernel.calls.divideAndRound(at, at, top, constants, this.degree, record);
      });
    });
  }

  /** Whether a has k*N residues, every one below its prime. Public data: returns early. */
  isReduced(a: Residues): boolean {
    if (a.length !== this.length) return false;
    let reduced = true;
    this.#rows([a], undefined, (at, { record }) => {
      reduced &&= this.kernel.calls.firstUnreduced(at, this.degree, record) === this.degree;
    });
    return reduced;
  }

  /**
   * round(p*x/Q) mod p for every coefficient x in [0, Q): N words below p. The quotient p*x/Q is at most
   * k*p*2^-63 too small before rounding (2^-27 for eight primes and 33-bit p), so only values that close to a
   * half round otherwise.
   * @throws {KmsError} BAD_INPUT unless 2 <= p < 2^60
   */
  scaleToPlain(a: Residues, p: bigint): BigUint64Array {
    if (p < 2n || p >= 1n << 60n) throw new KmsError('BAD_INPUT', 'plaintext modulus is not in 2..2^60');
    const whole = this.primes.reduce((product, q) => product * q, 1n);
    return this.kernel.scratch(8 * this.degree + 32, (fraction) => {
      const constants = fraction + 8 * this.degree;
      this.#rows([a], undefined, (at, { q, record }) => {
        const ratio = (1n << 128n) / q;
        const pair = shoupPair(inverse(whole / q, q), q);
        this.kernel.write(constants, BigUint64Array.from([...pair, BigInt.asUintN(64, ratio), ratio >> 64n]));
        this.kernel.calls.addFraction(fraction, at, constants, this.degree, record);
      });
      this.kernel.calls.roundFraction(fraction, fraction, p, this.degree);
      return this.kernel.read(fraction, this.degree);
    });
  }

  /**
   * Uniform element from 24 bytes per residue (192 bits, little endian, reduced: bias < 2^-132), prime-major.
   */
  uniform(stream: Uint8Array): Residues {
    const row = 24 * this.degree;
    if (stream.length !== row * this.primes.length) {
      throw new KmsError('BAD_INPUT', `expected ${row * this.primes.length} bytes of keystream`);
    }
    return this.kernel.scratch(row, (source) =>
      this.#rows([], this.zero(), (at, { record }, j) => {
        this.kernel.bytes.set(stream.subarray(j * row, (j + 1) * row), source);
        this.kernel.calls.uniform(at, source, this.degree, record);
      }),
    );
  }

  /**
   * For each prime: copies the operands' rows side by side to scratch memory, runs f on them, and copies the
   * first row back to `result`.
   */
  #rows<R extends Residues | undefined>(
    operands: readonly Residues[],
    result: R,
    f: (at: number, modulus: Modulus, j: number) => void,
  ): R {
    for (const operand of operands) this.#check(operand);
    const { degree, kernel } = this;
    return kernel.scratch(8 * degree * Math.max(1, operands.length), (at) => {
      this.moduli.forEach((modulus, j) => {
        const [from, to] = [j * degree, (j + 1) * degree];
        operands.forEach((operand, index) => {
          kernel.write(at + 8 * degree * index, operand.subarray(from, to));
        });
        f(at, modulus, j);
        result?.set(kernel.words.subarray(at / 8, at / 8 + degree), from);
      });
      return result;
    });
  }

  #check(a: Residues): void {
    if (a.length !== this.length) {
      throw new KmsError('BAD_INPUT', `an element of this ring has ${this.length} residues, not ${a.length}`);
    }
  }
}
