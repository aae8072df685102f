import { type Digest, digest } from '../ids.ts';
import type { NetworkClass } from '../network/network-class.ts';

/** An attestation root that a build pins: a measured constant, never read from a file or a system store. */
export interface AttestationRoot {
  readonly name: string;
  /** Accepted for networks whose id names this class, and for no other. */
  readonly class: NetworkClass;
  /** SHA-256 of `der`: what a document's chain is pinned by. */
  readonly sha256: Digest;
  /** The certificate. */
  readonly der: Uint8Array;
}

/** A root as the source of roots/*.ts spells it. @throws {KmsError} BAD_INPUT for a fingerprint that is not one */
export function pinnedRoot(root: {
  readonly name: string;
  readonly class: NetworkClass;
  readonly sha256: string;
  readonly derBase64: string;
}): AttestationRoot {
  const der = Uint8Array.from(atob(root.derBase64), (character) => character.charCodeAt(0));
  return { name: root.name, class: root.class, sha256: digest(root.sha256), der };
}
