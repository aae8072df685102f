import type { Digest } from '../../shared/ids.ts';
import { NO_DIGEST } from '../../shared/protocol/statement.ts';
import {
  bytes,
  type Codec,
  digest32,
  fixedBytes,
  list,
  struct,
  text,
  u8,
  u32,
  union,
} from '../../shared/wire/codec.ts';

/** Sealed bodies up to this size stand in the manifest itself: a small change is one write. */
export const MAX_INLINE_BYTES = 1024;
export const OBJECT_ID_BYTES = 16;
export const MAX_MANIFEST_BYTES = 16 << 20;
const MAX_RECORDS = 1 << 16;
const MAX_NAME_BYTES = 200;
const FORMAT = 1;

export type RecordBody =
  | { readonly kind: 'inline'; readonly sealed: Uint8Array }
  /** An object of its own; the digest is of its sealed bytes. */
  | { readonly kind: 'object'; readonly id: Uint8Array; readonly digest: Digest; readonly sizeBytes: number };

export interface ManifestEntry {
  readonly name: string;
  /** Whose wrapping key seals the body. */
  readonly scope: string;
  /** Of the manifest in which this body first stood. */
  readonly version: number;
  readonly body: RecordBody;
}

/** Everything a store holds at one version. Sealed as a whole; bodies are sealed by their own scopes' keys inside it. */
export interface Manifest {
  readonly version: number;
  /** SHA-256 of the sealed predecessor; NO_DIGEST for version 1. */
  readonly previous: Digest;
  /** Distinct names, sorted. */
  readonly entries: readonly ManifestEntry[];
}

const fields = struct({
  format: u8,
  version: u32,
  previous: digest32,
  entries: list<ManifestEntry>(
    struct({
      name: text(MAX_NAME_BYTES),
      scope: text(MAX_NAME_BYTES),
      version: u32,
      body: union<RecordBody>({
        inline: struct({ sealed: bytes(MAX_INLINE_BYTES) }),
        object: struct({ id: fixedBytes(OBJECT_ID_BYTES), digest: digest32, sizeBytes: u32 }),
      }),
    }),
    MAX_RECORDS,
  ),
});

export const manifestCodec: Codec<Manifest> = {
  write: (out, manifest) => fields.write(out, { format: FORMAT, ...manifest }),
  read(from) {
    const { format, ...manifest } = fields.read(from);
    if (format !== FORMAT) throw new RangeError(`manifest format ${format} is not supported`);
    return manifest;
  },
};

/** Of a store in which nothing was ever written. */
export const NO_MANIFEST: Manifest = { version: 0, previous: NO_DIGEST, entries: [] };
