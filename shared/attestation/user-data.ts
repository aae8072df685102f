import type { Digest } from '../ids.ts';
import type { Hashes } from '../primitives.ts';
import { tupleHash } from '../protocol/statement.ts';
import { fromHex } from '../wire/bytes.ts';

/**
 * What an enclave is to its network: the one process that speaks for the node, one that only decrypts, or one that has not
 * unsealed the node's identity yet.
 */
export type NodeRole = 'primary' | 'replica' | 'boot';

/**
 * A document's user data: binds the enclave to one network, one node identity and one role; 32 bytes.
 * @param node.identity the node's Ed25519 public key, 32 bytes
 * @param node.bootKey of role boot alone: the Ed25519 public key that speaks for it
 */
export function nodeUserData(
  hashes: Hashes,
  node: {
    readonly networkId: Digest;
    readonly identity: Uint8Array;
    readonly role: NodeRole;
    readonly bootKey?: Uint8Array | undefined;
  },
): Uint8Array {
  const { networkId, identity, role, bootKey } = node;
  const speaker = bootKey === undefined ? [] : [bootKey];
  return tupleHash(hashes, 'attested-node', fromHex(networkId), identity, role, ...speaker);
}
