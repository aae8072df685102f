import { ChainCache } from '../../../shared/attestation/chain-cache.ts';
import type { AttestationDocument } from '../../../shared/attestation/document.ts';
import type { AttestationRoot } from '../../../shared/attestation/root.ts';
import { verifyAuthentic } from '../../../shared/attestation/verify.ts';
import { KmsError } from '../../../shared/errors.ts';
import { rsaKey } from './envelope.ts';
import type { Fields } from './fields.ts';
import { invalid } from './service-error.ts';

/** Where an attested answer goes, and what its document says of the enclave. */
export interface Recipient {
  /** DER SubjectPublicKeyInfo of an RSA key. */
  readonly spki: Uint8Array;
  /** Condition keys, in lower case. */
  readonly conditions: ReadonlyMap<string, readonly string[]>;
}

const MAX_DOCUMENT_BYTES = 256 * 1024;
/** KMS takes no document that is older. */
const MAX_AGE_MS = 5 * 60_000;
const MAX_SKEW_MS = 60_000;

/** Verifies documents with the enclaves' own verifier; which image it is, is for the key policy to say. */
export class RecipientDesk {
  readonly #roots: readonly AttestationRoot[];
  readonly #chains = new ChainCache();

  /** @param roots those of AWS, of the lab, or of mock enclaves */
  constructor(roots: readonly AttestationRoot[]) {
    this.#roots = roots;
  }

  /** Undefined if the request names no recipient. @throws {ServiceError} ValidationException */
  async read(request: Fields, nowMs: number): Promise<Recipient | undefined> {
    const recipient = request.nested('Recipient');
    if (recipient === undefined) return undefined;
    if (recipient.text('KeyEncryptionAlgorithm') !== 'RSAES_OAEP_SHA_256') {
      throw invalid('KeyEncryptionAlgorithm is RSAES_OAEP_SHA_256');
    }
    const document = await this.#verified(recipient.bytes('AttestationDocument', MAX_DOCUMENT_BYTES), nowMs);
    if (nowMs - document.timestampMs > MAX_AGE_MS) throw invalid('the attestation document has expired');
    if (document.timestampMs - nowMs > MAX_SKEW_MS)
      throw invalid('the attestation document is of the future');
    if (document.publicKey === undefined) throw invalid('the attestation document has no public key');
    rsaKey(document.publicKey);
    const conditions = new Map<string, readonly string[]>();
    for (const [index, value] of document.pcrs) {
      const hex = [Buffer.from(value).toString('hex')];
      conditions.set(`kms:recipientattestation:pcr${index}`, hex);
      if (index === 0) conditions.set('kms:recipientattestation:imagesha384', hex);
    }
    return { spki: document.publicKey, conditions };
  }

  async #verified(bytes: Uint8Array, nowMs: number): Promise<AttestationDocument> {
    try {
      const policy = { roots: this.#roots, maxSkewMs: MAX_SKEW_MS };
      return (await verifyAuthentic(bytes, policy, nowMs, this.#chains)).document;
    } catch (error) {
      if (error instanceof KmsError) throw invalid(`the attestation document is not valid: ${error.message}`);
      throw error;
    }
  }
}
