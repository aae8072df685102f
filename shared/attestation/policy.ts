import type { Digest } from '../ids.ts';
import type { Measurement } from '../network/configuration.ts';
import type { AttestationRoot } from './root.ts';

/** What the verifier expects of a field, or a written statement that this caller does not care. */
export type Expected<T> = T | 'unchecked';

/** How the verifier knows that a document was made just now. */
export type Freshness =
  /** It contains the verifier's own fresh nonce. A verifier never accepts a nonce twice: it forgets it on first use. */
  | { readonly kind: 'nonce'; readonly nonce: Uint8Array }
  /** Its time lies at most this long before the verifier's. */
  | { readonly kind: 'age'; readonly maxAgeMs: number };

/** What an authentic document must say to be accepted. Nothing has a default: an omission is a type error. */
export interface AttestationPolicy {
  /** One or more. `#roots` gives the roots of the build. */
  readonly roots: readonly AttestationRoot[];
  /** One or more images that may run; registers of zeros never match. */
  readonly measurements: readonly Measurement[];
  /** PCR16 must be extended with this id and locked; also selects between mock roots and all others. */
  readonly networkId: Expected<Digest>;
  readonly freshness: Freshness;
  /** Exact bytes: for attested TLS the SubjectPublicKeyInfo of the certificate's key. */
  readonly publicKey: Expected<Uint8Array>;
  /** Exact bytes, see nodeUserData(). */
  readonly userData: Expected<Uint8Array>;
  /** By how much the verifier's clock and the document's may differ. */
  readonly maxSkewMs: number;
}
