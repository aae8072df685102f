import { KmsError } from '../../shared/errors.ts';
import { digestOf } from '../../shared/protocol/statement.ts';
import { toHex } from '../../shared/wire/bytes.ts';
import { decode } from '../../shared/wire/codec.ts';
import { nodePrimitives } from '../primitives.ts';
import { openRecord, type RecordPlace } from '../sealing/sealed-record.ts';
import { MAX_MANIFEST_BYTES, type Manifest, manifestCodec } from './manifest.ts';
import type { StateVersion, VersionedStoreOptions } from './versioned-store.ts';

const VERSION_DIGITS = 10;

/** Where a version stands. */
export function manifestKey(id: string, version: number): string {
  return `${id}/manifests/${String(version).padStart(VERSION_DIGITS, '0')}`;
}

/** Where a record lies that is too large for a manifest. */
export function objectKey(id: string, object: Uint8Array): string {
  return `${id}/objects/${toHex(object)}`;
}

/** Undefined for a key that is no manifest's. */
export function versionOfKey(id: string, key: string): number | undefined {
  const digits = key.slice(`${id}/manifests/`.length);
  return /^[0-9]{10}$/.test(digits) ? Number(digits) : undefined;
}

/** 0 if the bucket shows none. */
export async function newestShown({ objects, id }: VersionedStoreOptions): Promise<number> {
  const keys = await objects.list(`${id}/manifests/`);
  return keys.reduce((so, key) => Math.max(so, versionOfKey(id, key) ?? 0), 0);
}

/** Beyond the version that took effect a manifest that does not open means nothing: it never did. */
export function ifDamaged(error: unknown): undefined {
  if (error instanceof KmsError && error.code === 'STORE_FAILED') return undefined;
  throw error;
}

/** @returns undefined if there is none. @throws {KmsError} STORE_FAILED if it was changed or belongs elsewhere */
export async function readManifest(
  options: VersionedStoreOptions,
  version: number,
): Promise<{ readonly manifest: Manifest; readonly state: StateVersion } | undefined> {
  const { objects, id, keyOf, manifestScope } = options;
  const sealed = await objects.get(manifestKey(id, version), MAX_MANIFEST_BYTES);
  if (sealed === undefined) return undefined;
  const manifest = decode(
    manifestCodec,
    openRecord(keyOf(manifestScope), manifestPlace(options, version), sealed),
  );
  if (manifest.version !== version)
    throw new KmsError('STORE_FAILED', `manifest ${version} is another version's`);
  return { manifest, state: { version, digest: digestOf(nodePrimitives, sealed) } };
}

export function manifestPlace(
  { id, manifestScope, party, networkId }: VersionedStoreOptions,
  version: number,
): RecordPlace {
  return { type: 'manifest', id, scope: manifestScope, version, party, networkId };
}
