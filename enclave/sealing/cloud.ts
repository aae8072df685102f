import type { ObjectStore } from '../store/object-store.ts';

/** Key encryption outside the enclave that only an attested enclave of this network can have undone. */
export interface DataKeys {
  /**
   * A fresh key and the blob that gives it back. @param purpose public, bound to the blob
   * @throws {KmsError} KMS_REFUSED for a policy that is not the expected one, KMS_UNAVAILABLE
   */
  generate(purpose: string): Promise<{ readonly plaintext: Uint8Array; readonly blobs: readonly KeyBlob[] }>;
  /** 32 secret bytes. @throws {KmsError} KMS_REFUSED, KMS_UNAVAILABLE */
  open(blobs: readonly KeyBlob[], purpose: string): Promise<Uint8Array>;
}

/** One data key under one KMS key. Public. */
export interface KeyBlob {
  /** Amazon resource name of the KMS key. */
  readonly kmsKey: string;
  readonly blob: Uint8Array;
}

/** What a node has outside its enclave. Nothing there is trusted. */
export interface Cloud {
  readonly objects: ObjectStore;
  readonly dataKeys: DataKeys;
}
