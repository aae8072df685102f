import type { Digest, PartyId } from '../../shared/ids.ts';
import { MAX_PARTIES } from '../../shared/ids.ts';
import { type Scope, scopeCodec } from '../../shared/sealing/scope.ts';
import { bytes, type Codec, digest32, list, party, struct, text } from '../../shared/wire/codec.ts';
import type { KeyBlob } from './cloud.ts';

const MAX_ARN_BYTES = 256;
/** KMS allows 6144 bytes. */
const MAX_BLOB_BYTES = 6144;
const MAX_BLOBS = 4;

export const keyBlobsCodec: Codec<readonly KeyBlob[]> = list<KeyBlob>(
  struct({ kmsKey: text(MAX_ARN_BYTES), blob: bytes(MAX_BLOB_BYTES) }),
  MAX_BLOBS,
);

/** What opens a scope together with KMS and the peers. Nothing in it is secret: the digests are of 32 random bytes each. */
export interface ScopeHeader {
  readonly scope: Scope;
  readonly blobs: readonly KeyBlob[];
  /** SHA-256 of each holder's share of the peer half, by party. */
  readonly shares: readonly { readonly party: PartyId; readonly digest: Digest }[];
}

export const scopeHeaderCodec: Codec<ScopeHeader> = struct({
  scope: scopeCodec,
  blobs: keyBlobsCodec,
  shares: list<ScopeHeader['shares'][number]>(struct({ party, digest: digest32 }), MAX_PARTIES),
});
