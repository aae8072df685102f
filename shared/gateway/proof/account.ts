import { keccak_256 } from '@noble/hashes/sha3.js';
import { KmsError } from '../../errors.ts';
import { decodeRlp, integerOf, listOf, stringOf } from './rlp.ts';
import { lookUp, type NodeSource } from './trie.ts';

/** What the state trie holds of an account. */
export interface Account {
  readonly nonce: bigint;
  /** Wei. */
  readonly balance: bigint;
  readonly storageRoot: Uint8Array;
  /** keccak-256 of the runtime code. */
  readonly codeHash: Uint8Array;
}

/**
 * @param address 20 bytes
 * @returns undefined where it is proven that there is no such account
 * @throws {KmsError} NOT_PROVEN, BAD_ENCODING
 */
export function readAccount(
  source: NodeSource,
  stateRoot: Uint8Array,
  address: Uint8Array,
): Account | undefined {
  const value = lookUp(source, stateRoot, keccak_256(address));
  if (value === undefined) return undefined;
  const items = listOf(decodeRlp(value, 1));
  if (items.length !== 4) throw new KmsError('BAD_ENCODING', 'an account has four fields');
  const [nonce, balance, storageRoot, codeHash] = items;
  return {
    nonce: integerOf(nonce, 8),
    balance: integerOf(balance, 32),
    storageRoot: stringOf(storageRoot, 32),
    codeHash: stringOf(codeHash, 32),
  };
}

/**
 * @param slot 32 bytes
 * @returns the word there; 0 where it is proven that nothing is
 * @throws {KmsError} NOT_PROVEN, BAD_ENCODING
 */
export function readSlot(source: NodeSource, storageRoot: Uint8Array, slot: Uint8Array): bigint {
  const value = lookUp(source, storageRoot, keccak_256(slot));
  if (value === undefined) return 0n;
  // A zero that a chain keeps, as anvil does where Ethereum leaves it out, is a zero.
  return integerOf(decodeRlp(value, 0), 32);
}
