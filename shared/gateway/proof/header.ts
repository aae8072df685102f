import { keccak_256 } from '@noble/hashes/sha3.js';
import { KmsError } from '../../errors.ts';
import { decodeRlp, integerOf, listOf, type RlpItem, stringOf } from './rlp.ts';

/** What is read of a block's header; the header is known by its hash. */
export interface BlockHeader {
  /** keccak-256 of the encoding. */
  readonly hash: Uint8Array;
  readonly parentHash: Uint8Array;
  readonly stateRoot: Uint8Array;
  readonly number: bigint;
  /** Unix, seconds. */
  readonly timestamp: bigint;
}

/** With the longest extra data that proof-of-authority chains write. */
export const MAX_HEADER_BYTES = 4096;
const MAX_EXTRA_BYTES = 2048;

/** Size in bytes of a string, or `integer`: at most 32 bytes; in the order of the yellow paper. */
type HeaderField = number | 'integer' | 'uint64' | 'extra';

const fields: readonly HeaderField[] = [
  ...[32, 32, 20, 32, 32, 32, 256], // parent, ommers, beneficiary, state, transactions, receipts, bloom
  ...(['integer', 'uint64', 'uint64', 'uint64', 'uint64', 'extra'] as const), // difficulty, number, gas limit, gas used, time
  ...[32, 8], // mix, nonce
  'integer', // London: base fee
  32, // Shanghai: withdrawals root
  ...(['uint64', 'uint64'] as const), // Cancun: blob gas used, excess blob gas,
  32, // parent beacon block root
  32, // Prague: requests hash
];
/** Fields before London, and with each fork's additions. */
const counts: readonly number[] = [15, 16, 17, 20, 21];
const at = { parentHash: 0, stateRoot: 3, number: 8, timestamp: 11 } as const;

/**
 * Every field is checked for its form, though only a few are read: what is no header has no hash here.
 * @throws {KmsError} TOO_LARGE, BAD_ENCODING
 */
export function readHeader(bytes: Uint8Array): BlockHeader {
  if (bytes.length > MAX_HEADER_BYTES) {
    throw new KmsError('TOO_LARGE', `a block header has at most ${MAX_HEADER_BYTES} bytes`);
  }
  const items = listOf(decodeRlp(bytes, 1));
  if (!counts.includes(items.length)) {
    throw new KmsError('BAD_ENCODING', `a block header of ${items.length} fields is of no known fork`);
  }
  for (const [i, item] of items.entries()) checkField(item, fields[i]!);
  return {
    hash: keccak_256(bytes),
    parentHash: stringOf(items[at.parentHash]),
    stateRoot: stringOf(items[at.stateRoot]),
    number: integerOf(items[at.number], 8),
    timestamp: integerOf(items[at.timestamp], 8),
  };
}

function checkField(item: RlpItem, field: HeaderField): void {
  if (field === 'integer') integerOf(item, 32);
  else if (field === 'uint64') integerOf(item, 8);
  else if (field !== 'extra') stringOf(item, field);
  else if (stringOf(item).length > MAX_EXTRA_BYTES) {
    throw new KmsError('BAD_ENCODING', `extra data has at most ${MAX_EXTRA_BYTES} bytes`);
  }
}
