import { KmsError } from '../errors.ts';
import type { ValueKind } from '../fhe/envelope.ts';
import type { Value } from '../fhe/value.ts';
import { concat } from '../wire/bytes.ts';

/** As Limits.MAX_RESULT_BYTES. */
export const MAX_RESULT_BYTES = 256 << 10;

const WORD_BYTES = 8;

/**
 * A public decryption's `result`, as contracts read it: the values of the request's handles one after the other, each number in 8
 * bytes, big endian; a vector is its N numbers.
 * @throws {KmsError} TOO_LARGE
 */
export function encodeResult(values: readonly Value[]): Uint8Array {
  const numbers = values.map((value) => (value.kind === 'scalar' ? [value.value] : value.values));
  requireResultSize(numbers.map(({ length }) => length));
  return concat(...numbers.map(numbersOf));
}

/** @param counts of the numbers of each handle. @throws {KmsError} TOO_LARGE */
export function requireResultSize(counts: readonly number[]): void {
  if (sizeOf(counts) > MAX_RESULT_BYTES) {
    throw new KmsError('TOO_LARGE', `a result has at most ${MAX_RESULT_BYTES} bytes`);
  }
}

/**
 * @param kinds of the handles @param degree N of the key's preset
 * @throws {KmsError} BAD_ENCODING
 */
export function decodeResult(
  result: Uint8Array,
  kinds: readonly ValueKind[],
  degree: number,
): readonly Value[] {
  const counts = kinds.map((kind) => (kind === 'scalar' ? 1 : degree));
  if (result.length !== sizeOf(counts)) {
    throw new KmsError('BAD_ENCODING', 'the result is not one of these handles');
  }
  const view = new DataView(result.buffer, result.byteOffset, result.length);
  let at = 0;
  const next = (): bigint => {
    at += WORD_BYTES;
    return view.getBigUint64(at - WORD_BYTES);
  };
  return kinds.map((kind) =>
    kind === 'scalar'
      ? { kind, value: next() }
      : { kind, values: BigUint64Array.from({ length: degree }, next) },
  );
}

function sizeOf(counts: readonly number[]): number {
  return WORD_BYTES * counts.reduce((sum, count) => sum + count, 0);
}

function numbersOf(numbers: Iterable<bigint> & { readonly length: number }): Uint8Array {
  const bytes = new Uint8Array(WORD_BYTES * numbers.length);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const number of numbers) {
    view.setBigUint64(at, number);
    at += WORD_BYTES;
  }
  return bytes;
}
