import { KmsError } from '../errors.ts';
import type { ChainCache } from './chain-cache.ts';
import type { AttestationDocument } from './document.ts';
import type { AttestationPolicy } from './policy.ts';

/**
 * Verifies an attestation document completely: that a pinned root vouches for the key that signed it, and that it says
 * what the policy asks for. Order: size, strict CBOR, header, chain, signature, policy (enclave.md section 2).
 * @param bytes COSE_Sign1 as the security module gives it
 * @param nowMs the verifier's time, Unix
 * @param chains remembers verified certificate chains between calls; public data only
 * @throws {KmsError} TOO_LARGE, BAD_ENCODING (no attestation document), BAD_ATTESTATION (not authentic, or not what the
 *   policy asks for), BAD_INPUT (a policy that would accept nothing or anything: no roots, no measurements, zeros)
 */
export async function verifyDocument(
  bytes: Uint8Array,
  policy: AttestationPolicy,
  nowMs: number,
  chains?: ChainCache,
): Promise<AttestationDocument> {
  void [bytes, policy, nowMs, chains];
  throw new KmsError('INTERNAL', 'attestation documents cannot be verified yet');
}
