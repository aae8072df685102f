import { KmsError } from '../errors.ts';
import { concat, utf8 } from '../wire/bytes.ts';
import type { CborValue } from './cbor.ts';

/**
 * The one encoding that readCbor() accepts; map keys in the order of insertion.
 * @throws {KmsError} BAD_INPUT for a number that is no integer of 53 bits
 */
export function writeCbor(value: CborValue): Uint8Array {
  if (value === null) return Uint8Array.of(0xf6);
  if (typeof value === 'boolean') return Uint8Array.of(value ? 0xf5 : 0xf4);
  if (typeof value === 'number') return value < 0 ? head(1, -1 - value) : head(0, value);
  if (typeof value === 'string') {
    const raw = utf8(value);
    return concat(head(3, raw.length), raw);
  }
  if (value instanceof Uint8Array) return concat(head(2, value.length), value);
  if (value instanceof Map) {
    const entries = [...value].flatMap(([key, item]) => [writeCbor(key), writeCbor(item)]);
    return concat(head(5, value.size), ...entries);
  }
  if (isList(value)) return concat(head(4, value.length), ...value.map(writeCbor));
  throw new KmsError('BAD_INPUT', 'a value that has no CBOR form here');
}

function isList(value: CborValue): value is readonly CborValue[] {
  return Array.isArray(value);
}

function head(major: number, argument: number): Uint8Array {
  if (!Number.isSafeInteger(argument) || argument < 0) {
    throw new KmsError('BAD_INPUT', `${argument} is not an integer of 53 bits`);
  }
  const type = major << 5;
  if (argument < 24) return Uint8Array.of(type | argument);
  const exponent = argument < 2 ** 8 ? 0 : argument < 2 ** 16 ? 1 : argument < 2 ** 32 ? 2 : 3;
  const sizeBytes = 1 << exponent;
  const bytes = new Uint8Array(1 + sizeBytes);
  bytes[0] = type | (24 + exponent);
  for (let i = 0; i < sizeBytes; i++) bytes[sizeBytes - i] = Math.floor(argument / 2 ** (8 * i)) % 256;
  return bytes;
}
