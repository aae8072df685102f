import { ed25519Signer } from '../../enclave/primitives.ts';
import type { Signer } from '../../shared/primitives.ts';

/** The enclave whose time is measured; it dials all others. */
export const BENCHED = 1;
const PARTIES = 13;

/** The same members in every process of the bench. @param party 1..13 */
export function benchSigner(party: number): Signer {
  return ed25519Signer(new Uint8Array(32).fill(party));
}

export function benchMembers(): readonly { readonly identity: Uint8Array; readonly address: string }[] {
  return Array.from({ length: PARTIES }, (_, i) => ({
    identity: benchSigner(i + 1).publicKey,
    address: `127.0.0.1:${i + 1}`,
  }));
}
