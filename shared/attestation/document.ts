/**
 * The claims of an attestation document: what the security module says about its enclave. A value of this type says
 * nothing about who made it; only verifyDocument() does.
 * @see AWS Nitro Enclaves NSM API, "Attestation process", section 3.1
 */
export interface AttestationDocument {
  readonly moduleId: string;
  /** Unix time of the security module. */
  readonly timestampMs: number;
  /** The locked registers by index 0..31; 48 bytes each. */
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
  /** DER of the certificate whose key signed the document. */
  readonly certificate: Uint8Array;
  /** DER of its issuers, the root first. */
  readonly caBundle: readonly Uint8Array[];
  /** What the enclave asked to be bound; undefined if it asked for nothing. */
  readonly publicKey: Uint8Array | undefined;
  readonly userData: Uint8Array | undefined;
  readonly nonce: Uint8Array | undefined;
}
