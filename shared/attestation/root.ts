import { type Digest, digest } from '../ids.ts';

/** An attestation root that a build pins: a measured constant, never read from a file or a system store. */
export interface AttestationRoot {
  readonly name: string;
  /** Accepted for networks whose id says mock, and for no other; every other root for all the rest. */
  readonly isMock: boolean;
  /** SHA-256 of `der`: what a document's chain is pinned by. */
  readonly sha256: Digest;
  /** The certificate. */
  readonly der: Uint8Array;
}

/** A root as the source of roots/*.ts spells it. @throws {KmsError} BAD_INPUT for a fingerprint that is not one */
export function pinnedRoot(root: {
  readonly name: string;
  readonly isMock: boolean;
  readonly sha256: string;
  readonly derBase64: string;
}): AttestationRoot {
  const der = Uint8Array.from(atob(root.derBase64), (character) => character.charCodeAt(0));
  return { name: root.name, isMock: root.isMock, sha256: digest(root.sha256), der };
}

const MOCK_PREFIX = '6d6f636b';

/** True iff the id begins with the bytes "mock" (decision 0004). */
export function isMockNetwork(networkId: Digest): boolean {
  return networkId.startsWith(MOCK_PREFIX);
}
