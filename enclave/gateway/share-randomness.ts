import { KmsError } from '../../shared/errors.ts';
import type { Digest } from '../../shared/ids.ts';
import type { Hashes, Rng } from '../../shared/primitives.ts';
import { tupleHash } from '../../shared/protocol/statement.ts';
import { fromHex } from '../../shared/wire/bytes.ts';
import type { ResultSigner } from '../membership/result-signer.ts';

/**
 * Randomness for sealing a user's share: secret, and a function of everything that is sealed, the share included. So a request
 * that is repeated, in this or a later life of the node, gets the very bytes whose digest this node has signed; and two different
 * things never share an encapsulation.
 */
export function shareRandomness(
  { networkId, hashes, signer }: { networkId: Digest; hashes: Hashes; signer: ResultSigner },
  sealed: Uint8Array,
): Rng {
  const info = tupleHash(hashes, 'user-decryption/randomness', sealed);
  let isDrawn = false;
  return (sizeBytes) => {
    if (isDrawn) throw new KmsError('INTERNAL', 'this randomness is good for one draw');
    isDrawn = true;
    return signer.use((secret) => hashes.hkdf(secret, fromHex(networkId), info, sizeBytes));
  };
}
