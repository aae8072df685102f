import { KmsError } from '../errors.ts';
import type { Kernel } from './kernel/kernel.ts';
import type { Residues, Ring } from './ring.ts';

/** Shape of a flood sum. */
export interface WideShape {
  /** Number of coefficients, a multiple of 4. */
  readonly count: number;
  /** u32 limbs per coefficient in the stream, 1..6. */
  readonly limbs: number;
  /** Significant bits of each r: the top limb is masked to bits - 32*(limbs-1) of its bits. Default 32*limbs. */
  readonly bits?: number;
}

/**
 * sum_A f_A(i) * (u_A - B) over the seeds A of one party (protocols.md sections 2 and 5): floods.
 * The sum is accumulated exactly over the integers, once for all primes. Secret; no secret-dependent branch or index.
 * Not constructed for more than 715 adds. Dispose (or finish) zeroes the accumulators.
 */
export class WideSum {
  /** Bytes one `add` takes: 4 * limbs * count. */
  readonly sizeBytes: number;

  constructor(_kernel: Kernel, shape: WideShape) {
    this.sizeBytes = 4 * shape.limbs * shape.count;
  }

  /**
   * Adds numerator * u. The stream holds u in groups of 4 coefficients: limb 0 of coefficients 4g..4g+3, then limb 1
   * of the same four, and so on, u32 little endian. It is copied before add returns.
   * @param numerator denominator * f_A(i), |numerator| < 2^40 (PrssWeights)
   */
  add(_stream: Uint8Array, _numerator: bigint): void {
    throw new KmsError('INTERNAL', 'arithmetic not linked yet');
  }

  /**
   * (sum numerator * (u - offset)) / denominator modulo every prime of the ring: k*count residues, prime-major.
   * The sum is empty and disposed afterwards.
   */
  finish(_ring: Ring, _denominator: bigint, _offset: bigint): Residues {
    throw new KmsError('INTERNAL', 'arithmetic not linked yet');
  }

  [Symbol.dispose](): void {}
}

/** sum_A f_A(i) * r_A for small r (ternary secrets, centred binomial errors): exact in signed 64 bits. Secret. */
export class SmallSum {
  constructor(_kernel: Kernel, _count: number) {}

  /** @param values count integers, |value| <= 127 @param numerator |numerator| < 2^40 */
  add(_values: Int8Array, _numerator: bigint): void {
    throw new KmsError('INTERNAL', 'arithmetic not linked yet');
  }

  /** (sum numerator * value) / denominator modulo every prime: k*count residues; coefficient form when count = N. */
  finish(_ring: Ring, _denominator: bigint): Residues {
    throw new KmsError('INTERNAL', 'arithmetic not linked yet');
  }

  [Symbol.dispose](): void {}
}
