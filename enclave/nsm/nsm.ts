/** What an enclave wants its document to vouch for. */
export interface AttestationRequest {
  /** At most 512 bytes. */
  readonly userData?: Uint8Array;
  /** At most 512 bytes. */
  readonly nonce?: Uint8Array;
  /** At most 1024 bytes. */
  readonly publicKey?: Uint8Array;
}

export interface Pcr {
  readonly isLocked: boolean;
  /** 48 bytes */
  readonly value: Uint8Array;
}

export interface NsmDescription {
  /** major.minor.patch */
  readonly version: string;
  readonly moduleId: string;
  readonly pcrCount: number;
  readonly lockedPcrs: readonly number[];
}

/**
 * The Nitro Security Module: documents, registers, entropy. Trusted as the hardware is; in a mock enclave an imitation
 * under a root that only mock networks accept.
 * Every method throws KmsError: UNAVAILABLE if the device cannot be used, BAD_INPUT if it refuses the request,
 * BAD_ENCODING if its answer is not one.
 */
export interface Nsm {
  /** A COSE_Sign1 document over the locked registers (shared/attestation). */
  attest(request: AttestationRequest): Promise<Uint8Array>;
  /** @param index 0..31 */
  describePcr(index: number): Promise<Pcr>;
  /** Register := SHA-384(register || data); gives the new value. Refused once locked. @param data at most 512 bytes */
  extendPcr(index: number, data: Uint8Array): Promise<Uint8Array>;
  /** Freezes the register; from then on documents contain it. */
  lockPcr(index: number): Promise<void>;
  /** Entropy of the security module. */
  random(sizeBytes: number): Promise<Uint8Array>;
  describe(): Promise<NsmDescription>;
}
