import { keccak_256 } from '@noble/hashes/sha3.js';
import { KmsError } from '../errors.ts';
import { concat } from '../wire/bytes.ts';

/**
 * Merkle trees over results, as gateway/contracts/common/Batch.sol has them: a leaf is the hash of a result's struct hash, so no
 * inner node is a leaf; pairs are sorted before they are hashed; the last of an odd row moves up.
 */
export function batchLeaf(structHash: Uint8Array): Uint8Array {
  return keccak_256(structHash);
}

/** @throws {KmsError} BAD_INPUT for no leaves */
export function merkleRoot(leaves: readonly Uint8Array[]): Uint8Array {
  return rowsOf(leaves).at(-1)![0]!;
}

/** Siblings from the leaf upwards, those that exist. @throws {KmsError} BAD_INPUT */
export function merkleProof(leaves: readonly Uint8Array[], index: number): readonly Uint8Array[] {
  if (!Number.isInteger(index) || index < 0 || index >= leaves.length) {
    throw new KmsError('BAD_INPUT', `leaf ${index} is not one of ${leaves.length}`);
  }
  const rows = rowsOf(leaves).slice(0, -1);
  return rows.flatMap((row, depth) => {
    const sibling = row[(index >> depth) ^ 1];
    return sibling === undefined ? [] : [sibling];
  });
}

/** The root of a tree that has this leaf, if the proof is of one: whoever compares it with a signed root has verified the leaf. */
export function rootFrom(leaf: Uint8Array, proof: readonly Uint8Array[]): Uint8Array {
  return proof.reduce(pair, leaf);
}

function rowsOf(leaves: readonly Uint8Array[]): readonly (readonly Uint8Array[])[] {
  if (leaves.length === 0) throw new KmsError('BAD_INPUT', 'a batch has at least one result');
  const rows: (readonly Uint8Array[])[] = [leaves];
  for (let row = leaves; row.length > 1; rows.push(row)) row = above(row);
  return rows;
}

function above(row: readonly Uint8Array[]): readonly Uint8Array[] {
  return Array.from({ length: Math.ceil(row.length / 2) }, (_, i) => {
    const left = row[2 * i]!;
    const right = row[2 * i + 1];
    return right === undefined ? left : pair(left, right);
  });
}

function pair(a: Uint8Array, b: Uint8Array): Uint8Array {
  return keccak_256(isBelow(a, b) ? concat(a, b) : concat(b, a));
}

function isBelow(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i]) return a[i]! < b[i]!;
  }
  return false;
}
