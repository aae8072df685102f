import { KmsError } from '../errors.ts';
import type { Kernel } from './kernel/kernel.ts';

/** k*N residues, prime-major: residue of coefficient (or slot) i modulo prime j at j*N + i, each below its prime. */
export type Residues = BigUint64Array;

const pending = (): never => {
  throw new KmsError('INTERNAL', 'arithmetic not linked yet');
};

/**
 * Z_Q[X]/(X^N + 1) in residue number system form, Q the product of k primes of 16..60 bits, each 1 mod 2N.
 * NTT form is SEAL's: minimal primitive 2N-th root, bit-reversed order.
 */
export class Ring {
  readonly kernel: Kernel;
  readonly degree: number;
  readonly primes: readonly bigint[];
  /** Number of residues of an element: k * N. */
  readonly length: number;

  /** @throws {KmsError} BAD_INPUT unless degree is a power of two 8..32768 and the primes are distinct, 16..60 bits, 1 mod 2N */
  constructor(kernel: Kernel, degree: number, primes: readonly bigint[]) {
    this.kernel = kernel;
    this.degree = degree;
    this.primes = primes;
    this.length = degree * primes.length;
  }

  /** The ring over the first `count` primes; the same object for the same count. */
  take(count: number): Ring {
    return new Ring(this.kernel, this.degree, this.primes.slice(0, count));
  }

  zero(): Residues {
    return new BigUint64Array(this.length);
  }

  /** Coefficient form to NTT form, in place. */
  ntt(_a: Residues): void {
    pending();
  }

  /** NTT form to coefficient form, in place. */
  intt(_a: Residues): void {
    pending();
  }

  /** Either form. */
  add(_a: Residues, _b: Residues): Residues {
    return pending();
  }

  sub(_a: Residues, _b: Residues): Residues {
    return pending();
  }

  neg(_a: Residues): Residues {
    return pending();
  }

  /** Pointwise; the ring product when both are in NTT form. */
  mul(_a: Residues, _b: Residues): Residues {
    return pending();
  }

  /** acc += a * b pointwise, in place. */
  mulAcc(_acc: Residues, _a: Residues, _b: Residues): void {
    pending();
  }

  /** a times one public constant per prime (any integer, reduced here). */
  scale(_a: Residues, _perPrime: readonly bigint[]): Residues {
    return pending();
  }

  /** Coefficient form of N signed integers. */
  fromSigned(_values: BigInt64Array | Int32Array | Int8Array): Residues {
    return pending();
  }

  /** sigma_g: X -> X^g for odd g, of an element in NTT form. */
  automorphism(_a: Residues, _g: number): Residues {
    return pending();
  }

  /** Coefficient 0 of c*s per prime, both in coefficient form: k words. */
  constantCoefficient(_c: Residues, _s: Residues): BigUint64Array {
    return pending();
  }

  /** Coefficient form over k primes to k-1 primes: round(x / q_last), as SEAL's BFV mod_switch_to_next. */
  divideAndRoundLast(_a: Residues): Residues {
    return pending();
  }

  /** Whether a has k*N residues, every one below its prime. Public data: may return early. */
  isReduced(_a: Residues): boolean {
    return pending();
  }

  /** round(p*x/Q) mod p for every coefficient x in [0, Q); coefficient form in, N words out. */
  scaleToPlain(_a: Residues, _p: bigint): BigUint64Array {
    return pending();
  }

  /** Uniform element from 24 bytes per residue (192 bits, little endian, reduced; bias < 2^-132), prime-major. */
  uniform(_stream: Uint8Array): Residues {
    return pending();
  }
}
