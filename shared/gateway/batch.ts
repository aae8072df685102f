import { KmsError } from '../errors.ts';
import { hashStruct } from './eip712.ts';
import { batchLeaf, merkleRoot } from './merkle.ts';
import type { Typed } from './typed-data.ts';

/** Results that one signature of a node may cover. */
export const MAX_BATCH_LEAVES = 64;

/** What stands for a public decryption in a batch; 32 bytes. */
export function publicLeaf(statement: Typed<'PublicDecryption'>): Uint8Array {
  return batchLeaf(hashStruct('PublicDecryption', statement));
}

/** Below 0 if a comes first in a batch. */
export function compareLeaves(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i]) return a[i]! - b[i]!;
  }
  return 0;
}

/**
 * What nodes sign of a batch. The same results are one batch only: contracts take any order, nodes the ascending one.
 * @param leaves 32 bytes each
 * @throws {KmsError} BAD_INPUT for none, too many, another size, another order or the same one twice
 */
export function resultBatch(epoch: bigint, leaves: readonly Uint8Array[]): Typed<'ResultBatch'> {
  const isCanonical =
    leaves.length <= MAX_BATCH_LEAVES &&
    leaves.every((leaf, i) => leaf.length === 32 && (i === 0 || compareLeaves(leaves[i - 1]!, leaf) < 0));
  if (!isCanonical) {
    throw new KmsError('BAD_INPUT', `a batch has 1..${MAX_BATCH_LEAVES} leaves in ascending order`);
  }
  return { root: merkleRoot(leaves), count: leaves.length, epoch };
}
