import type { Digest, PartyId } from '../../ids.ts';
import {
  bytes,
  type Codec,
  digest32,
  fixedBytes,
  list,
  optional,
  party,
  struct,
  u16,
  union,
} from '../../wire/codec.ts';
import { type PartySignature, partySignature } from '../broadcast/messages.ts';
import { type Certificate, certificateCodec } from '../certificate.ts';
import { SEED_BYTES } from '../prss/seeds.ts';

/** More than any supported committee has (committee.ts). */
const MAX_SETS = 1024;
/** What one setup message may take, a whole transcript included. */
export const MAX_SETUP_MESSAGE_BYTES = 4 << 20;
/** A commitment value: one digest per set; a naming value: a few parties. */
export const MAX_COMMITMENTS_BYTES = 32 * MAX_SETS;
export const MAX_NAMING_BYTES = 4 + 64;

/** One value c_{dealer,A}: secret, sent to holders of A only. */
export interface Contribution {
  readonly set: number;
  readonly value: Uint8Array;
}

export type SetupMessage =
  | { readonly kind: 'commitments'; readonly body: Uint8Array }
  | { readonly kind: 'namings'; readonly body: Uint8Array }
  /** A dealer opens its commitments towards one holder. */
  | { readonly kind: 'contributions'; readonly values: readonly Contribution[] }
  /** "I lack values of this dealer for these sets." */
  | { readonly kind: 'ask'; readonly dealer: PartyId; readonly sets: readonly number[] }
  | { readonly kind: 'answer'; readonly dealer: PartyId; readonly values: readonly Contribution[] }
  | { readonly kind: 'signature'; readonly transcript: Digest; readonly signature: PartySignature }
  | { readonly kind: 'certificate'; readonly certificate: Certificate }
  | { readonly kind: 'fetch'; readonly transcript: Digest }
  | { readonly kind: 'transcript'; readonly transcript: Transcript };

/** What was broadcast in a setup, item by item; its hash is what parties certify. */
export interface Transcript {
  readonly session: Digest;
  readonly participants: readonly PartyId[];
  /** Commitment values by participant, in order; undefined where the broadcast failed. */
  readonly commitments: readonly (Uint8Array | undefined)[];
  /** Encoded lists of named dealers by participant, in order; undefined where the broadcast failed. */
  readonly namings: readonly (Uint8Array | undefined)[];
}

const broadcastBody = bytes(2 * MAX_COMMITMENTS_BYTES);
export const contributionsCodec: Codec<readonly Contribution[]> = list(
  struct({ set: u16, value: fixedBytes(SEED_BYTES) }),
  MAX_SETS,
);

export const transcriptCodec: Codec<Transcript> = struct({
  session: digest32,
  participants: list(party, 64),
  commitments: list(optional(bytes(MAX_COMMITMENTS_BYTES)), 64),
  namings: list(optional(bytes(MAX_NAMING_BYTES)), 64),
});

export const namingCodec: Codec<readonly PartyId[]> = list(party, 64);

export const setupMessage: Codec<SetupMessage> = union<SetupMessage>({
  commitments: struct({ body: broadcastBody }),
  namings: struct({ body: broadcastBody }),
  contributions: struct({ values: contributionsCodec }),
  ask: struct({ dealer: party, sets: list(u16, MAX_SETS) }),
  answer: struct({ dealer: party, values: contributionsCodec }),
  signature: struct({ transcript: digest32, signature: partySignature }),
  certificate: struct({ certificate: certificateCodec }),
  fetch: struct({ transcript: digest32 }),
  transcript: struct({ transcript: transcriptCodec }),
});
