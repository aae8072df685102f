import { KmsError } from '../errors.ts';
import type { Kernel } from './kernel/kernel.ts';

/** Keystream bytes for `count` ternary values: a multiple of 16, too short with probability < 2^-128. */
export function ternarySizeBytes(count: number): number {
  return 16 * Math.ceil((count + count / 64 + 64) / 16);
}

/**
 * Uniform in {-1, 0, 1}: byte b gives b mod 3 - 1, byte 255 is skipped. Secret; time and addresses depend
 * only on where bytes are skipped, which is independent of the values.
 * @returns the values and how many bytes of the stream they took
 * @throws {KmsError} BAD_INPUT when the stream ends first
 */
export function sampleTernary(
  kernel: Kernel,
  stream: Uint8Array,
  count: number,
): { values: Int8Array; consumed: number } {
  return kernel.scratch(count + stream.length, (at) => {
    kernel.bytes.set(stream, at + count);
    const consumed = kernel.calls.ternary(at, at + count, stream.length, count);
    if (consumed === 0 && count > 0)
      throw new KmsError('BAD_INPUT', `stream too short for ${count} ternary values`);
    return { values: new Int8Array(kernel.bytes.slice(at, at + count).buffer), consumed };
  });
}

/** Keystream bytes for `count` centred binomial values: 6 per value, rounded up to a multiple of 16. */
export function cbd21SizeBytes(count: number): number {
  return 16 * Math.ceil((6 * count) / 16);
}

/**
 * Centred binomial, eta 21 (variance 10.5): weight of bits 0..20 minus weight of bits 24..44 of each 6 bytes,
 * as SEAL samples errors. Secret, constant time. @throws {KmsError} BAD_INPUT when the stream is too short
 */
export function sampleCbd21(kernel: Kernel, stream: Uint8Array, count: number): Int8Array {
  if (stream.length < 6 * count)
    throw new KmsError('BAD_INPUT', `stream too short for ${count} binomial values`);
  return kernel.scratch(7 * count, (at) => {
    kernel.bytes.set(stream.subarray(0, 6 * count), at + count);
    kernel.calls.cbd21(at, at + count, count);
    return new Int8Array(kernel.bytes.slice(at, at + count).buffer);
  });
}
