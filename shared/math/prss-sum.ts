import { KmsError } from '../errors.ts';
import type { Kernel } from './kernel/kernel.ts';
import { inverse, mod } from './modular.ts';
import { shoupPair } from './modulus.ts';
import type { Residues, Ring } from './ring.ts';
import { checkAdd } from './small-sum.ts';

export { SmallSum } from './small-sum.ts';

/**
 * Numerators enter the wide accumulators in two parts of this many bits, so that 32-bit limbs times parts fit
 * 64.
 */
const PART_BITS = 20n;
/** Streams buffered before one pass over the accumulators. */
const BATCH = 8;
/** Keeps buffered streams from falling on the same cache lines when their size is a power of two. */
const PADDING = 64;

/** Shape of a flood sum. */
export interface WideShape {
  /** Number of coefficients, a multiple of 4. */
  readonly count: number;
  /** u32 limbs per coefficient in the stream, 1..6. */
  readonly limbs: number;
  /**
   * Significant bits of each u: the top limb is masked to bits - 32*(limbs-1) of its bits. Default 32*limbs.
   */
  readonly bits?: number;
}

interface WideMemory {
  readonly acc: number;
  readonly numerators: number;
  readonly streams: number;
}

/**
 * sum_A f_A(i) * (u_A - B) over the seeds A of one party (protocols.md sections 2 and 5): floods. Accumulated
 * exactly over the integers, once for all primes. The streams are secret, numerators and offset public; no
 * secret-dependent branch or index. Disposing (or finishing) zeroes and frees the kernel memory held since
 * construction.
 * @throws {KmsError} BAD_INPUT on a shape or an operand outside its domain, SESSION_CLOSED after finish or
 * dispose
 */
export class WideSum {
  /** Bytes one `add` takes: 4 * limbs * count. */
  readonly sizeBytes: number;
  readonly #kernel: Kernel;
  readonly #count: number;
  readonly #limbs: number;
  readonly #mask: number;
  readonly #stride: number;
  /** Accumulators, numerators of the buffered streams, those streams; undefined once disposed. */
  #memory: WideMemory | undefined;
  #buffered = 0;
  #adds = 0;
  #numeratorSum = 0n;

  constructor(kernel: Kernel, shape: WideShape) {
    const { count, limbs } = shape;
    const topBits = (shape.bits ?? 32 * limbs) - 32 * (limbs - 1);
    if (!Number.isInteger(count) || count < 4 || count % 4 !== 0) {
      throw new KmsError('BAD_INPUT', `a wide sum has a multiple of 4 coefficients, not ${count}`);
    }
    if (!Number.isInteger(limbs) || limbs < 1 || limbs > 6 || !Number.isInteger(topBits)) {
      throw new KmsError('BAD_INPUT', `a wide sum has 1..6 limbs, not ${limbs}`);
    }
    if (topBits < 1 || topBits > 32)
      throw new KmsError('BAD_INPUT', `${limbs} limbs cannot hold ${shape.bits} bits`);
    this.sizeBytes = 4 * limbs * count;
    this.#kernel = kernel;
    this.#count = count;
    this.#limbs = limbs;
    this.#mask = topBits === 32 ? -1 : 2 ** topBits - 1;
    this.#stride = this.sizeBytes + PADDING;
    const acc = kernel.allocate(4 * this.sizeBytes + 8 * BATCH + BATCH * this.#stride);
    const numerators = acc + 4 * this.sizeBytes;
    this.#memory = { acc, numerators, streams: numerators + 8 * BATCH };
  }

  /**
   * Adds numerator * u. The stream holds u in groups of 4 coefficients: limb 0 of coefficients 4g..4g+3, then
   * limb 1 of the same four, and so on, u32 little endian. It is copied before add returns. At most 715
   * times.
   * @param numerator denominator * f_A(i), |numerator| < 2^40 (PrssWeights)
   */
  add(stream: Uint8Array, numerator: bigint): void {
    const { streams, numerators } = this.#open();
    if (stream.length !== this.sizeBytes) throw new KmsError('BAD_INPUT', `expected ${this.sizeBytes} bytes`);
    checkAdd(numerator, ++this.#adds);
    this.#kernel.bytes.set(stream, streams + this.#buffered * this.#stride);
    const low = numerator & ((1n << PART_BITS) - 1n);
    this.#kernel.words[numerators / 8 + this.#buffered] =
      low | (BigInt.asUintN(32, numerator >> PART_BITS) << 32n);
    this.#numeratorSum += numerator;
    if (++this.#buffered === BATCH) this.#flush();
  }

  /**
   * (sum numerator * (u - offset)) / denominator modulo every prime of the ring: k*count residues,
   * prime-major. The sum is disposed afterwards.
   */
  finish(ring: Ring, denominator: bigint, offset: bigint): Residues {
    const { acc } = this.#open();
    this.#flush();
    const row = 8 * this.#count;
    const constants = 8 + 16 * this.#words;
    this.#kernel.calls.wideCarry(acc, this.#count / 4, this.#limbs);
    const result = new BigUint64Array(this.#count * ring.primes.length);
    this.#kernel.scratch(row + constants, (at) => {
      ring.moduli.forEach(({ q, record }, j) => {
        this.#kernel.write(at + row, this.#constants(q, denominator, offset));
        this.#kernel.calls.wideFinish(at, acc, this.#count / 4, this.#limbs, at + row, record);
        result.set(this.#kernel.words.subarray(at / 8, (at + row) / 8), j * this.#count);
      });
    });
    this[Symbol.dispose]();
    return result;
  }

  [Symbol.dispose](): void {
    if (this.#memory === undefined) return;
    const { acc, streams } = this.#memory;
    this.#kernel.release(acc, streams - acc + Math.min(this.#adds, BATCH) * this.#stride);
    this.#memory = undefined;
  }

  /**
   * See wideFinish in kernel/assembly/sum.ts: what makes up for the biases, then the weights of the words.
   */
  #constants(q: bigint, denominator: bigint, offset: bigint): BigUint64Array {
    const scale = inverse(denominator, q);
    let start = -offset * this.#numeratorSum;
    for (let limb = 0n; limb < this.#limbs; limb++) {
      start += (this.#numeratorSum << 31n) << (32n * limb);
      start -= (1n + (1n << PART_BITS)) << (62n + 32n * limb);
    }
    const weights = Array.from({ length: this.#words }, (_, word) =>
      shoupPair(mod(scale << BigInt(64 * word), q), q),
    );
    return BigUint64Array.from([mod(mod(start, q) * scale, q), ...weights.flat()]);
  }

  /** 64-bit words of an accumulated coefficient. */
  get #words(): number {
    return (this.#limbs + 3) >> 1;
  }

  #flush(): void {
    const { acc, streams, numerators } = this.#open();
    this.#kernel.calls.wideAdd(
      acc,
      streams,
      this.#stride,
      this.#buffered,
      numerators,
      this.#count / 4,
      this.#limbs,
      this.#mask,
    );
    this.#buffered = 0;
  }

  #open(): WideMemory {
    if (this.#memory === undefined) throw new KmsError('SESSION_CLOSED', 'this sum is finished');
    return this.#memory;
  }
}
