import { ed25519Signer } from '../../enclave/primitives.ts';
import type { Signer } from '../../shared/primitives.ts';

/** The same members in every process of the bench. @param party 1..4 */
export function benchSigner(party: number): Signer {
  return ed25519Signer(new Uint8Array(32).fill(party));
}

export function benchMembers(): readonly { readonly identity: Uint8Array; readonly address: string }[] {
  return [1, 2, 3, 4].map((party) => ({
    identity: benchSigner(party).publicKey,
    address: `127.0.0.1:${party}`,
  }));
}
