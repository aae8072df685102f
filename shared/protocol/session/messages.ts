import type { PartyId } from '../../ids.ts';
import {
  type Codec,
  fixedBytes,
  list,
  party,
  signature64,
  struct,
  u32,
  u64,
  union,
} from '../../wire/codec.ts';

/** A party's fresh random value for one attempt, signed; made in this process life. */
export interface SignedNonce {
  readonly party: PartyId;
  readonly nonce: Uint8Array;
  readonly signature: Uint8Array;
}

export const signedNonce: Codec<SignedNonce> = struct({
  party,
  nonce: fixedBytes(32),
  signature: signature64,
});

export interface NonceRequest {
  readonly kind: 'nonce-request';
  readonly attempt: number;
}

export interface NonceReply {
  readonly kind: 'nonce-reply';
  readonly attempt: number;
  readonly nonce: SignedNonce;
}

export interface Proposal {
  readonly kind: 'proposal';
  readonly attempt: number;
  readonly startMs: bigint;
  readonly nonces: readonly SignedNonce[];
  readonly signature: Uint8Array;
}

export type AgreementMessage = NonceRequest | NonceReply | Proposal;

export const agreementMessage: Codec<AgreementMessage> = union<AgreementMessage>({
  'nonce-request': struct({ attempt: u32 }),
  'nonce-reply': struct({ attempt: u32, nonce: signedNonce }),
  proposal: struct({ attempt: u32, startMs: u64, nonces: list(signedNonce, 64), signature: signature64 }),
});
