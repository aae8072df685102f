import type { Digest, KeyId } from '../../ids.ts';
import type { Residues } from '../../math/ring.ts';
import {
  bytes,
  type Codec,
  digest32,
  key,
  residues,
  signature64,
  struct,
  text,
  u32,
  union,
} from '../../wire/codec.ts';
import { type PartySignature, partySignature } from '../broadcast/messages.ts';
import { type Certificate, certificateCodec } from '../certificate.ts';
import { CHUNK_BYTES, type Chunk } from './download.ts';

/** Everything parties say to each other about one key request. */
export type KeygenMessage =
  | { readonly kind: 'agreement'; readonly body: Uint8Array }
  | { readonly kind: 'setup'; readonly session: Digest; readonly body: Uint8Array }
  | {
      readonly kind: 'share';
      readonly session: Digest;
      readonly name: string;
      readonly share: Residues;
      readonly signature: Uint8Array;
    }
  /** A signature on the digest of the opened first relinearisation round. */
  | {
      readonly kind: 'round-one';
      readonly session: Digest;
      readonly statement: Digest;
      readonly by: PartySignature;
    }
  | { readonly kind: 'round-one-certificate'; readonly session: Digest; readonly certificate: Certificate }
  /** A signature on the digest of the key record. */
  | {
      readonly kind: 'key-signature';
      readonly key: KeyId;
      readonly statement: Digest;
      readonly by: PartySignature;
    }
  | { readonly kind: 'key-certificate'; readonly key: KeyId; readonly certificate: Certificate }
  /** After a restart: "what became of this key?" */
  | { readonly kind: 'query'; readonly key: KeyId }
  | { readonly kind: 'fetch'; readonly key: KeyId; readonly offset: number }
  | ({ readonly kind: 'chunk'; readonly key: KeyId } & Chunk);

/** Largest ring element: N = 32768 over 16 primes. */
const MAX_SHARE_RESIDUES = 32768 * 16;

export const keygenMessage: Codec<KeygenMessage> = union<KeygenMessage>({
  agreement: struct({ body: bytes(1 << 16) }),
  setup: struct({ session: digest32, body: bytes(4 << 20) }),
  share: struct({
    session: digest32,
    name: text(64),
    share: residues(MAX_SHARE_RESIDUES),
    signature: signature64,
  }),
  'round-one': struct({ session: digest32, statement: digest32, by: partySignature }),
  'round-one-certificate': struct({ session: digest32, certificate: certificateCodec }),
  'key-signature': struct({ key, statement: digest32, by: partySignature }),
  'key-certificate': struct({ key, certificate: certificateCodec }),
  query: struct({ key }),
  fetch: struct({ key, offset: u32 }),
  chunk: struct({ key, offset: u32, total: u32, bytes: bytes(CHUNK_BYTES) }),
});
