import { KmsError } from '../errors.ts';
import { toHex } from '../wire/bytes.ts';
import { type ChainFault, verifyChain, verifySignature } from './chain.ts';
import { type ChainCache, chainName, type VerifiedChain } from './chain-cache.ts';
import { parseUnverifiedSign1, signedBytes } from './cose.ts';
import { type AttestationDocument, checkDocumentSize, parseUnverifiedPayload } from './document.ts';
import { type AttestationPolicy, checkPolicy, type PolicyFault, policyFault } from './policy.ts';
import type { AttestationRoot } from './root.ts';

/** Why a document is refused with BAD_ATTESTATION. */
export type AttestationFault =
  | ChainFault
  | PolicyFault
  | 'foreign-root' // the chain starts at a certificate that is not pinned
  | 'validity-at-document' // a certificate was not valid when the document says it was made
  | 'validity-now'
  | 'document-signature';

const meanings: Readonly<Record<AttestationFault, string>> = {
  issuer: 'its certificates do not belong together',
  'not-an-authority': 'one of its issuers is no certificate authority',
  'leaf-is-an-authority': 'it is signed by a certificate authority instead of an enclave',
  'path-length': 'one of its issuers had no right to make another',
  'key-usage': 'one of its certificates had no right to sign',
  'certificate-signature': 'one of its certificates is forged',
  'foreign-root': 'its root is not the one this build trusts',
  'validity-at-document': 'a certificate was not valid when the document was made',
  'validity-now': 'a certificate has expired or is not valid yet; compare the clocks',
  'document-signature': 'it is forged or was altered',
  debug: 'the enclave runs in debug mode, its memory is open to its host',
  measurement: 'the enclave runs an image that is not allowed',
  network: 'the enclave is not bound to this network',
  'root-class': 'enclaves of this class (production, lab or mock) have no place in that network',
  nonce: 'it does not answer this question; it may be a replay',
  stale: 'it is too old; ask for a new one',
  'from-the-future': 'its clock is ahead; compare the clocks',
  'public-key': 'it vouches for another key than the one shown',
  'user-data': 'it vouches for another network, identity or role',
};

/** An authentic document and the pinned root that vouches for it. */
export interface AuthenticDocument {
  readonly document: AttestationDocument;
  readonly root: AttestationRoot;
}

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
  checkPolicy(policy);
  const { document, root } = await verifyAuthentic(bytes, policy, nowMs, chains);
  const fault = await policyFault(document, root, policy, nowMs);
  if (fault !== undefined) throw refusal(fault);
  return document;
}

/**
 * The first half: who made the document. What it says is not looked at; a caller without a policy of its own wants
 * verifyDocument().
 * @throws {KmsError} TOO_LARGE, BAD_ENCODING, BAD_ATTESTATION
 */
export async function verifyAuthentic(
  bytes: Uint8Array,
  policy: Pick<AttestationPolicy, 'roots' | 'maxSkewMs'>,
  nowMs: number,
  chains?: ChainCache,
): Promise<AuthenticDocument> {
  checkDocumentSize(bytes);
  const { payload, signature } = parseUnverifiedSign1(bytes);
  const document = parseUnverifiedPayload(payload);
  const root = await pinnedRootOf(document, policy.roots);
  const chain = await chainOf([...document.caBundle, document.certificate], chains);
  const { timestampMs } = document;
  if (timestampMs < chain.notBeforeMs || timestampMs > chain.notAfterMs)
    throw refusal('validity-at-document');
  if (nowMs + policy.maxSkewMs < chain.notBeforeMs || nowMs - policy.maxSkewMs > chain.notAfterMs) {
    throw refusal('validity-now');
  }
  if (!(await verifySignature(chain.leafKey, signedBytes(payload), signature))) {
    throw refusal('document-signature');
  }
  return { document, root };
}

async function pinnedRootOf(
  { caBundle }: AttestationDocument,
  roots: readonly AttestationRoot[],
): Promise<AttestationRoot> {
  const [first] = caBundle;
  if (first === undefined) throw refusal('foreign-root');
  const fingerprint = toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', Uint8Array.from(first))));
  const root = roots.find(({ sha256 }) => sha256 === fingerprint);
  if (root === undefined) throw refusal('foreign-root');
  return root;
}

async function chainOf(ders: readonly Uint8Array[], cache: ChainCache | undefined): Promise<VerifiedChain> {
  if (cache === undefined) return verifiedChain(ders);
  const name = await chainName(ders);
  const known = cache.get(name);
  if (known !== undefined) return known;
  const chain = await verifiedChain(ders);
  cache.set(name, chain);
  return chain;
}

async function verifiedChain(ders: readonly Uint8Array[]): Promise<VerifiedChain> {
  const chain = await verifyChain(ders);
  if (typeof chain === 'string') throw refusal(chain);
  return chain;
}

function refusal(fault: AttestationFault): KmsError {
  return new KmsError('BAD_ATTESTATION', `attestation refused: ${meanings[fault]}`);
}
