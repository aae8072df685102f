import { MAX_DOCUMENT_BYTES } from '../attestation/document.ts';
import { SIGNATURE_BYTES } from '../gateway/signature.ts';
import type { Digest } from '../ids.ts';
import { HALF_BYTES } from '../sealing/half.ts';
import { type Scope, scopeCodec } from '../sealing/scope.ts';
import { type StateRecord, stateRecordCodec } from '../sealing/state-record.ts';
import {
  bytes,
  type Codec,
  digest32,
  fixedBytes,
  optional,
  signature64,
  struct,
  union,
} from '../wire/codec.ts';
import { CLOCK_NONCE_BYTES, type ClockReading, clockReadingCodec } from './clock-reading.ts';
import { type EnrolmentStatement, enrolmentStatementCodec } from './enrolment.ts';
import { type Incarnation, incarnationCodec } from './incarnation.ts';

/**
 * What two enclaves tell each other about themselves, over their attested stream, before and beside every protocol.
 * Each message is for the one process at the other end.
 */
export type MembershipMessage =
  /** "I am this boot." First on every connection, from both sides. */
  | { readonly kind: 'incarnation'; readonly record: Incarnation }
  | { readonly kind: 'incarnation-acknowledged'; readonly signature: Uint8Array }
  /** The highest record there is of the asker; none if it is only too far ahead. */
  | { readonly kind: 'incarnation-refused'; readonly highest: Incarnation | undefined }
  | { readonly kind: 'clock-asked'; readonly nonce: Uint8Array }
  | { readonly kind: 'clock-read'; readonly reading: ClockReading }
  | { readonly kind: 'attestation-asked'; readonly nonce: Uint8Array }
  /** A new document of the sender for the TLS key of this stream, with the nonce. */
  | { readonly kind: 'attestation-shown'; readonly document: Uint8Array }
  | {
      readonly kind: 'enrolment-asked';
      readonly statement: EnrolmentStatement;
      readonly document: Uint8Array;
      readonly possession: Uint8Array;
    }
  | {
      readonly kind: 'enrolment-signed';
      readonly signature: Uint8Array;
      /** By the sender's result signer (node-enrolment.ts), where the network has a gateway. */
      readonly contractSignature: Uint8Array | undefined;
    }
  /** "This is my state from now on." */
  | { readonly kind: 'state-announced'; readonly record: StateRecord }
  /** Exactly that record is durable here. */
  | { readonly kind: 'state-held'; readonly record: StateRecord }
  /** A later one is. */
  | { readonly kind: 'state-refused'; readonly highest: StateRecord }
  /** A share of a peer half of the sender, for the receiver to keep (decision 0005). Secret. */
  | { readonly kind: 'half-dealt'; readonly scope: Scope; readonly share: Uint8Array }
  | { readonly kind: 'half-held'; readonly scope: Scope; readonly digest: Digest }
  /** Destroy the share of the sender's scope. */
  | { readonly kind: 'half-erasing'; readonly scope: Scope }
  | { readonly kind: 'half-erased'; readonly scope: Scope };

/** Those about sealed storage (decision 0005). */
export type SealMessage = Extract<MembershipMessage, { kind: `state-${string}` | `half-${string}` }>;

export const ATTESTATION_NONCE_BYTES = 32;

export const membershipMessage: Codec<MembershipMessage> = union<MembershipMessage>({
  incarnation: struct({ record: incarnationCodec }),
  'incarnation-acknowledged': struct({ signature: signature64 }),
  'incarnation-refused': struct({ highest: optional(incarnationCodec) }),
  'clock-asked': struct({ nonce: fixedBytes(CLOCK_NONCE_BYTES) }),
  'clock-read': struct({ reading: clockReadingCodec }),
  'attestation-asked': struct({ nonce: fixedBytes(ATTESTATION_NONCE_BYTES) }),
  'attestation-shown': struct({ document: bytes(MAX_DOCUMENT_BYTES) }),
  'enrolment-asked': struct({
    statement: enrolmentStatementCodec,
    document: bytes(MAX_DOCUMENT_BYTES),
    possession: signature64,
  }),
  'enrolment-signed': struct({
    signature: signature64,
    contractSignature: optional(fixedBytes(SIGNATURE_BYTES)),
  }),
  'state-announced': struct({ record: stateRecordCodec }),
  'state-held': struct({ record: stateRecordCodec }),
  'state-refused': struct({ highest: stateRecordCodec }),
  'half-dealt': struct({ scope: scopeCodec, share: fixedBytes(HALF_BYTES) }),
  'half-held': struct({ scope: scopeCodec, digest: digest32 }),
  'half-erasing': struct({ scope: scopeCodec }),
  'half-erased': struct({ scope: scopeCodec }),
});
