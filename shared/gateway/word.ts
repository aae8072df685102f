import { KmsError } from '../errors.ts';

/** A 256-bit word, big endian. @throws {KmsError} BAD_INPUT unless 0 <= value < 2^bits */
export function word(value: bigint, bits = 256): Uint8Array {
  if (value < 0n || value >> BigInt(bits) !== 0n) {
    throw new KmsError('BAD_INPUT', `an unsigned integer of ${bits} bits is expected`);
  }
  return Uint8Array.from({ length: 32 }, (_, i) => Number((value >> BigInt(8 * (31 - i))) & 255n));
}

/** A word as a number. @param bytes big endian */
export function numberOf(bytes: Uint8Array): bigint {
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}
