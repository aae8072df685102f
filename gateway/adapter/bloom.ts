import { keccak_256 } from '@noble/hashes/sha3.js';
import { fromHex } from '../../shared/wire/bytes.ts';
import type { Hex } from './chain-data.ts';

/**
 * Whether a block's bloom filter (yellow paper, 4.3.1) lets a contract have logs in it. No: it has none. Yes: it may.
 * @param bloom 256 bytes @param address 20 bytes
 */
export function mayHaveLogs(bloom: Hex, address: Hex): boolean {
  const bits = fromHex(bloom.slice(2));
  const hash = keccak_256(fromHex(address.slice(2)));
  return [0, 2, 4].every((at) => {
    const bit = ((hash[at]! << 8) | hash[at + 1]!) & 2047;
    return ((bits[255 - (bit >> 3)]! >> (bit & 7)) & 1) === 1;
  });
}
