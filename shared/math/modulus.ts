import { KmsError } from '../errors.ts';
import type { Kernel } from './kernel/kernel.ts';
import { inverse, isPrime, minimalPrimitiveRoot } from './modular.ts';

const RECORD_WORDS = 22;

/** A public constant w < q and floor(w * 2^64 / q), as the kernel multiplies by it (Shoup). */
export function shoupPair(w: bigint, q: bigint): [bigint, bigint] {
  return [w, (w << 64n) / q];
}

/**
 * One prime with its constants and NTT tables in the kernel's memory, for one degree. Tables live as long as
 * the kernel and are shared by every ring that uses the prime.
 */
export class Modulus {
  readonly q: bigint;
  /** Address of the modulus record (kernel/assembly/modulus.ts). */
  readonly record: number;
  /** Addresses of the twiddle tables (kernel/assembly/ntt.ts). */
  readonly forward: number;
  readonly backward: number;

  private constructor(kernel: Kernel, degree: number, q: bigint) {
    const psi = minimalPrimitiveRoot(2 * degree, q);
    const psiInverse = inverse(psi, q);
    this.q = q;
    this.record = kernel.allocate(8 * RECORD_WORDS);
    kernel.write(this.record, recordOf(q));
    this.forward = kernel.allocate(16 * degree);
    kernel.calls.twiddles(this.forward, psi, degree, this.record);
    this.backward = kernel.allocate(16 * (degree + 2));
    kernel.calls.twiddles(this.backward, psiInverse, degree, this.record);
    const scale = inverse(BigInt(degree), q);
    const last = (kernel.words[this.backward / 8 + 2]! * scale) % q;
    kernel.write(
      this.backward + 16 * degree,
      BigUint64Array.from([...shoupPair(scale, q), ...shoupPair(last, q)]),
    );
  }

  /** @throws {KmsError} BAD_INPUT unless q is a prime of 16..60 bits, 1 mod 2*degree */
  static of(kernel: Kernel, degree: number, q: bigint): Modulus {
    let known = moduli.get(kernel);
    if (known === undefined) {
      known = new Map();
      moduli.set(kernel, known);
    }
    const name = `${degree}:${q}`;
    let modulus = known.get(name);
    if (modulus === undefined) {
      const bits = q.toString(2).length;
      if (bits < 16 || bits > 60 || !isPrime(q))
        throw new KmsError('BAD_INPUT', `${q} is no prime of 16..60 bits`);
      modulus = new Modulus(kernel, degree, q);
      known.set(name, modulus);
    }
    return modulus;
  }
}

const moduli = new WeakMap<Kernel, Map<string, Modulus>>();

function recordOf(q: bigint): BigUint64Array {
  const bits = BigInt(q.toString(2).length);
  const limbBits = (bits + 1n) / 2n;
  const constant = (exponent: bigint): [bigint, bigint] => shoupPair((1n << exponent) % q, q);
  return BigUint64Array.from([
    q,
    bits - 1n,
    ((1n << (2n * bits)) / q) << (63n - bits),
    (1n << (bits + 24n)) / q,
    ...constant(64n),
    ...constant(128n),
    ...constant(0n),
    ...[0n, limbBits, 2n * limbBits].flatMap((exponent) => [
      ...constant(exponent),
      ...constant(exponent + 32n),
    ]),
  ]);
}
