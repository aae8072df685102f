import type { Digest, KeyId } from '../../ids.ts';
import type { Residues } from '../../math/ring.ts';
import {
  bool,
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
import { MAX_SETUP_MESSAGE_BYTES } from '../setup/messages.ts';
import { CHUNK_BYTES, type Chunk } from './download.ts';
import { type KeyRequest, keyRequestCodec } from './request.ts';

/** Messages of one session: they count in that session only. */
export type SessionMessage =
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
  | { readonly kind: 'round-one-certificate'; readonly session: Digest; readonly certificate: Certificate };

/** Names a key by the attempt that makes it; the id follows from request and attempt. */
interface OfKey {
  readonly key: KeyId;
  readonly attempt: number;
}

/** Messages about what has become of one key: they count whenever they come. */
export type SettlementMessage =
  /** A signature on the digest of the key record. */
  | (OfKey & { readonly kind: 'key-signature'; readonly statement: Digest; readonly by: PartySignature })
  /** The key exists; and whether the sender holds its seeds durably. */
  | (OfKey & {
      readonly kind: 'key-certificate';
      readonly certificate: Certificate;
      readonly holdsSeeds: boolean;
    })
  /** The key exists, told to a member that may never have heard of the request. */
  | (OfKey & {
      readonly kind: 'introduction';
      readonly request: KeyRequest;
      readonly certificate: Certificate;
    })
  /** "What became of this key?" */
  | (OfKey & { readonly kind: 'query' })
  | (OfKey & { readonly kind: 'fetch'; readonly offset: number })
  | (OfKey & { readonly kind: 'chunk' } & Chunk)
  /** A party without seeds asks for them, and is answered, as in the setup. */
  | (OfKey & { readonly kind: 'archive'; readonly body: Uint8Array });

/** Everything parties say to each other about one key request. */
export type KeygenMessage =
  | { readonly kind: 'agreement'; readonly body: Uint8Array }
  | SessionMessage
  | SettlementMessage;

/** Largest ring element: N = 32768 over 16 primes. */
const MAX_SHARE_RESIDUES = 32768 * 16;
const setupBody = bytes(MAX_SETUP_MESSAGE_BYTES);
const ofKey = { key, attempt: u32 };

export const keygenMessage: Codec<KeygenMessage> = union<KeygenMessage>({
  agreement: struct({ body: bytes(1 << 16) }),
  setup: struct({ session: digest32, body: setupBody }),
  share: struct({
    session: digest32,
    name: text(64),
    share: residues(MAX_SHARE_RESIDUES),
    signature: signature64,
  }),
  'round-one': struct({ session: digest32, statement: digest32, by: partySignature }),
  'round-one-certificate': struct({ session: digest32, certificate: certificateCodec }),
  'key-signature': struct({ ...ofKey, statement: digest32, by: partySignature }),
  'key-certificate': struct({ ...ofKey, certificate: certificateCodec, holdsSeeds: bool }),
  query: struct(ofKey),
  fetch: struct({ ...ofKey, offset: u32 }),
  chunk: struct({ ...ofKey, offset: u32, total: u32, bytes: bytes(CHUNK_BYTES) }),
  archive: struct({ ...ofKey, body: setupBody }),
  introduction: struct({ ...ofKey, request: keyRequestCodec, certificate: certificateCodec }),
});
