import { KmsError } from '../errors.ts';
import type { Digest } from '../ids.ts';
import type { Measurement } from '../network/measurement.ts';
import type { Hashes } from '../primitives.ts';
import { NO_NETWORK, type NodeClaim } from './certificate.ts';
import type { ChainCache } from './chain-cache.ts';
import { type AttestationDocument, parseUnverifiedDocument } from './document.ts';
import { isMeasured, measurementOf } from './pcr.ts';
import type { AttestationPolicy, Freshness } from './policy.ts';
import type { AttestationRoot } from './root.ts';
import { nodeUserData } from './user-data.ts';
import { verifyDocument } from './verify.ts';

/** How old a document may be when a connection begins (decision 0004). */
export const MAX_HANDSHAKE_AGE_MS = 5 * 60_000;
/** By how much the clocks of two enclaves, or of a node and its client, may differ. */
export const MAX_SKEW_MS = 60_000;

/** What somebody who verifies nodes goes by. */
export interface NodeTrust {
  /** Of the build (`#roots`). */
  readonly roots: readonly AttestationRoot[];
  /** NO_NETWORK: nodes that have not joined one yet; their documents are bound to nothing but themselves. */
  readonly networkId: Digest;
  /**
   * The images that may run now. `unchecked` is for tools that show what runs instead of relying on it; an enclave in debug
   * mode is refused all the same.
   */
  readonly measurements: () => readonly Measurement[] | 'unchecked';
  /** Unix time. */
  readonly nowMs: () => number;
  /** True: nodes that have not unsealed their identity are looked at too, whatever boot key they name. */
  readonly looksOnly?: boolean;
  readonly chains: ChainCache;
}

/** A node whose certificate and document were verified. */
export interface VerifiedNode {
  /** Ed25519 public key, 32 bytes. */
  readonly identity: Uint8Array;
  /** Set while the node has not unsealed its identity: such a node may only recall. */
  readonly bootKey?: Uint8Array | undefined;
  /** DER SubjectPublicKeyInfo of its TLS key of this boot. */
  readonly spki: Uint8Array;
  readonly document: AttestationDocument;
}

/**
 * The costly half of verifying a node: its document is authentic, fresh, of an allowed image, and vouches for exactly this
 * TLS key, network and identity.
 * @param claim of verifyNodeCertificate(): its binding holds
 * @throws {KmsError} BAD_ATTESTATION, TOO_LARGE, BAD_ENCODING; BAD_INPUT if nothing is allowed at all
 */
export async function verifyNode(
  hashes: Hashes,
  trust: NodeTrust,
  claim: NodeClaim,
  freshness: Freshness = { kind: 'age', maxAgeMs: MAX_HANDSHAKE_AGE_MS },
): Promise<VerifiedNode> {
  const { networkId, roots, nowMs, chains } = trust;
  const { identity, bootKey, spki } = claim;
  const role = bootKey === undefined ? 'primary' : 'boot';
  const policy: AttestationPolicy = {
    roots,
    measurements: imagesFor(trust, claim.document),
    networkId: networkId === NO_NETWORK ? 'unchecked' : networkId,
    freshness,
    publicKey: spki,
    userData: nodeUserData(hashes, { networkId, identity, role, bootKey }),
    maxSkewMs: MAX_SKEW_MS,
  };
  const document = await verifyDocument(claim.document, policy, nowMs(), chains);
  return { identity, bootKey, spki, document };
}

/** Whoever looks only is content with what the document says runs, as long as it is something. */
function imagesFor({ measurements }: NodeTrust, document: Uint8Array): readonly Measurement[] {
  const allowed = measurements();
  if (allowed !== 'unchecked') return allowed;
  const { pcrs } = parseUnverifiedDocument(document);
  if (!isMeasured(pcrs)) {
    throw new KmsError('BAD_ATTESTATION', 'attestation refused: the enclave runs in debug mode');
  }
  return [measurementOf(pcrs)];
}
