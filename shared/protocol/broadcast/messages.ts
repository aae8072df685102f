import type { Digest, PartyId } from '../../ids.ts';
import { bytes, type Codec, digest32, list, party, signature64, struct, union } from '../../wire/codec.ts';

export interface PartySignature {
  readonly party: PartyId;
  readonly signature: Uint8Array;
}

export const partySignature: Codec<PartySignature> = struct({ party, signature: signature64 });

/** A sender's value with signatures of distinct parties, the sender's among them (Dolev–Strong). */
export interface Relay {
  readonly kind: 'relay';
  readonly sender: PartyId;
  readonly value: Uint8Array;
  readonly signatures: readonly PartySignature[];
}

/** A party's signed view at the end of round 1. */
export interface View {
  readonly kind: 'view';
  readonly view: Digest;
  readonly signature: Uint8Array;
}

/** The same view signed by every participant, and the relays it has passed through. */
export interface ViewCertificate {
  readonly kind: 'certificate';
  readonly view: Digest;
  readonly views: readonly PartySignature[];
  readonly relays: readonly PartySignature[];
}

export type BroadcastMessage = Relay | View | ViewCertificate;

export const MAX_BROADCAST_VALUE_BYTES = 1 << 20;
const MAX_SIGNATURES = 64;

export const broadcastMessage: Codec<BroadcastMessage> = union<BroadcastMessage>({
  relay: struct({
    sender: party,
    value: bytes(MAX_BROADCAST_VALUE_BYTES),
    signatures: list(partySignature, MAX_SIGNATURES),
  }),
  view: struct({ view: digest32, signature: signature64 }),
  certificate: struct({
    view: digest32,
    views: list(partySignature, MAX_SIGNATURES),
    relays: list(partySignature, MAX_SIGNATURES),
  }),
});
