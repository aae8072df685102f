import { KmsError } from '../errors.ts';
import type { Digest } from '../ids.ts';
import { checkMeasurement, type Measurement } from '../network/measurement.ts';
import { classOf } from '../network/network-class.ts';
import { equalBytes } from '../wire/bytes.ts';
import type { AttestationDocument } from './document.ts';
import { isMeasured, matches, NETWORK_PCR, networkPcr } from './pcr.ts';
import type { AttestationRoot } from './root.ts';

/** What the verifier expects of a field, or a written statement that this caller does not care. */
export type Expected<T> = T | 'unchecked';

/** How the verifier knows that a document was made just now. */
export type Freshness =
  /** It contains the verifier's own fresh nonce, which the verifier uses once. */
  | { readonly kind: 'nonce'; readonly nonce: Uint8Array }
  /** Its time lies at most this long before the verifier's. */
  | { readonly kind: 'age'; readonly maxAgeMs: number };

/** What an authentic document must say to be accepted. Nothing has a default: an omission is a type error. */
export interface AttestationPolicy {
  /** One or more. `#roots` gives the roots of the build. */
  readonly roots: readonly AttestationRoot[];
  /** One or more images that may run; registers of zeros never match. */
  readonly measurements: readonly Measurement[];
  /** PCR16 must be extended with this id and locked; the root must be one for its class. */
  readonly networkId: Expected<Digest>;
  readonly freshness: Freshness;
  /** Exact bytes: for attested TLS the SubjectPublicKeyInfo of the certificate's key. */
  readonly publicKey: Expected<Uint8Array>;
  /** Exact bytes, see nodeUserData(). */
  readonly userData: Expected<Uint8Array>;
  /** By how much the verifier's clock and the document's may differ. */
  readonly maxSkewMs: number;
}

/** Why an authentic document is not accepted. */
export type PolicyFault =
  | 'debug' // the image's registers are zeros: a debug-mode enclave, its memory is open to the host
  | 'measurement' // another image than those allowed
  | 'network' // PCR16 is another network's, or not locked
  | 'root-class' // a mock root for a real network, or any other mixture of classes
  | 'nonce'
  | 'stale'
  | 'from-the-future' // its clock is ahead of the verifier's by more than the skew
  | 'public-key' // it vouches for another key
  | 'user-data'; // it vouches for another network, identity or role

const MIN_NONCE_BYTES = 16;

/** @throws {KmsError} BAD_INPUT for a policy that would accept nothing, or anything */
export function checkPolicy(policy: AttestationPolicy): void {
  if (policy.roots.length === 0) throw badPolicy('it names no root');
  if (policy.measurements.length === 0) throw badPolicy('it allows no measurement');
  policy.measurements.forEach(checkMeasurement);
  const { freshness, publicKey, userData, maxSkewMs } = policy;
  if (freshness.kind === 'nonce' && freshness.nonce.length < MIN_NONCE_BYTES) {
    throw badPolicy(`its nonce has less than ${MIN_NONCE_BYTES} bytes`);
  }
  if (freshness.kind === 'age' && !isDuration(freshness.maxAgeMs))
    throw badPolicy('its greatest age is none');
  if (!isDuration(maxSkewMs)) throw badPolicy('its clock skew is none');
  for (const field of [publicKey, userData]) {
    if (field !== 'unchecked' && field.length === 0) throw badPolicy('an expected field is empty');
  }
}

/** Why the policy refuses an authentic document, or undefined if it accepts it. @param root what its chain leads to */
export async function policyFault(
  document: AttestationDocument,
  root: AttestationRoot,
  policy: AttestationPolicy,
  nowMs: number,
): Promise<PolicyFault | undefined> {
  const { pcrs } = document;
  if (!isMeasured(pcrs)) return 'debug';
  if (!policy.measurements.some((measurement) => matches(pcrs, measurement))) return 'measurement';
  if (policy.networkId !== 'unchecked') {
    if (root.class !== classOf(policy.networkId)) return 'root-class';
    if (!isExpected(await networkPcr(policy.networkId), pcrs.get(NETWORK_PCR))) return 'network';
  }
  const age = nowMs - document.timestampMs;
  if (age < -policy.maxSkewMs) return 'from-the-future';
  if (policy.freshness.kind === 'age') {
    if (age > policy.freshness.maxAgeMs) return 'stale';
  } else if (!isExpected(policy.freshness.nonce, document.nonce)) {
    return 'nonce';
  }
  if (!isExpected(policy.publicKey, document.publicKey)) return 'public-key';
  return isExpected(policy.userData, document.userData) ? undefined : 'user-data';
}

function isExpected(expected: Expected<Uint8Array>, found: Uint8Array | undefined): boolean {
  return expected === 'unchecked' || (found !== undefined && equalBytes(expected, found));
}

/** Infinity and NaN are no durations: they would switch the check off. */
function isDuration(ms: number): boolean {
  return Number.isFinite(ms) && ms >= 0;
}

function badPolicy(what: string): KmsError {
  return new KmsError('BAD_INPUT', `attestation policy: ${what}`);
}
