import { KmsError } from '../../shared/errors.ts';
import { type Digest, digest } from '../../shared/ids.ts';

/** As much of a block as is read. Public; one endpoint's word, which is believed from nobody alone. */
export interface Block {
  readonly number: bigint;
  readonly hash: Digest;
  readonly parentHash: Digest;
  /** Unix seconds. */
  readonly timestampS: bigint;
}

/** Numbers and times of blocks stay exact as numbers. */
const MAX_QUANTITY = BigInt(Number.MAX_SAFE_INTEGER);

/** The result of eth_getBlockBy*; undefined for null. @throws {KmsError} BAD_ENCODING */
export function readBlock(value: unknown): Block | undefined {
  if (value === null) return undefined;
  if (typeof value !== 'object') throw bad('a block is an object');
  const fields = new Map<string, unknown>(Object.entries(value));
  return {
    number: readQuantity(fields.get('number')),
    hash: readHash(fields.get('hash')),
    parentHash: readHash(fields.get('parentHash')),
    timestampS: readQuantity(fields.get('timestamp')),
  };
}

/** `0x` and hex digits without leading zeros, at most 2^53 - 1. @throws {KmsError} BAD_ENCODING */
export function readQuantity(value: unknown): bigint {
  if (typeof value !== 'string' || !/^0x(?:0|[1-9a-f][0-9a-f]{0,13})$/.test(value)) {
    throw bad('a quantity is 0x and hex without leading zeros');
  }
  const quantity = BigInt(value);
  if (quantity > MAX_QUANTITY) throw bad('a quantity is too large');
  return quantity;
}

export function quantity(value: bigint): string {
  return `0x${value.toString(16)}`;
}

/** Equal texts: the same block, in every field that is read. */
export function blockName({ number, hash, parentHash, timestampS }: Block): string {
  return `${number} ${hash} ${parentHash} ${timestampS}`;
}

function readHash(value: unknown): Digest {
  if (typeof value !== 'string' || !/^0x[0-9a-f]{64}$/.test(value))
    throw bad('a hash is 0x and 64 hex digits');
  return digest(value.slice(2));
}

function bad(message: string): KmsError {
  return new KmsError('BAD_ENCODING', message);
}
