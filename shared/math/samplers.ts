import { KmsError } from '../errors.ts';
import type { Kernel } from './kernel/kernel.ts';

/** Keystream bytes for `count` ternary values: a multiple of 16, too short with probability < 2^-128. */
export function ternarySizeBytes(count: number): number {
  return 16 * Math.ceil((count + count / 64 + 64) / 16);
}

/** Uniform in {-1, 0, 1}: byte b gives b mod 3 - 1, byte 255 is skipped. Only the number of skips shows in time. */
export function sampleTernary(
  _kernel: Kernel,
  _stream: Uint8Array,
  _count: number,
): { values: Int8Array; consumed: number } {
  throw new KmsError('INTERNAL', 'arithmetic not linked yet');
}

/** Keystream bytes for `count` centred binomial values: 6 per value, rounded up to a multiple of 16. */
export function cbd21SizeBytes(count: number): number {
  return 16 * Math.ceil((6 * count) / 16);
}

/** Centred binomial, eta 21 (variance 10.5): weight of 21 bits minus weight of 21 bits, 6 bytes per value. */
export function sampleCbd21(_kernel: Kernel, _stream: Uint8Array, _count: number): Int8Array {
  throw new KmsError('INTERNAL', 'arithmetic not linked yet');
}
