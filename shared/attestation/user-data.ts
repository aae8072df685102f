import type { Digest } from '../ids.ts';
import type { Hashes } from '../primitives.ts';
import { tupleHash } from '../protocol/statement.ts';
import { fromHex } from '../wire/bytes.ts';

/** What an enclave is to its network: the one process that speaks for the node, or one that only decrypts. */
export type NodeRole = 'primary' | 'replica';

/**
 * A document's user data: binds the enclave to one network, one node identity and one role; 32 bytes.
 * @param node.identity the node's Ed25519 public key, 32 bytes
 */
export function nodeUserData(
  hashes: Hashes,
  node: { readonly networkId: Digest; readonly identity: Uint8Array; readonly role: NodeRole },
): Uint8Array {
  return tupleHash(hashes, 'attested-node', fromHex(node.networkId), node.identity, node.role);
}
