import { keccak_256 } from '@noble/hashes/sha3.js';
import type { Digest } from '../ids.ts';
import { fromHex } from '../wire/bytes.ts';
import { encodeTuple } from './abi.ts';
import type { Typed } from './typed-data.ts';
import { word } from './word.ts';

/** What a node has the registry remember of its state (Registry.anchor). Public. */
export type NodeAnchor = Typed<'Anchor'>;

/** Nodes keep no audit log yet (capability 6). */
const NO_AUDIT_HEAD: Uint8Array = new Uint8Array(32);

/** @param identity 32 bytes @param state a version that has taken effect */
export function nodeAnchor(
  identity: Uint8Array,
  { version, digest }: { readonly version: number; readonly digest: Digest },
): NodeAnchor {
  return { identity, version: BigInt(version), state: fromHex(digest), auditHead: NO_AUDIT_HEAD };
}

/** What Registry.anchors holds: the hash of all fields. @throws {KmsError} BAD_INPUT */
export function anchorCommitment({ identity, version, state, auditHead }: NodeAnchor): Uint8Array {
  return keccak_256(encodeTuple([identity, word(version, 64), state, auditHead]));
}
