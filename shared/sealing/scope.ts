import { KmsError } from '../errors.ts';
import { type EpochId, epochId, type KeyId, keyId } from '../ids.ts';
import { type Codec, struct, text } from '../wire/codec.ts';

/**
 * What one wrapping key seals: the node's own secrets, or everything of one FHE key in one epoch, so that destroying a key
 * destroys exactly its own (enclave.md section 3). Public: `node`, or `key/<64 hex>/<epoch>`.
 */
export type Scope =
  | { readonly kind: 'node' }
  | { readonly kind: 'key'; readonly key: KeyId; readonly epoch: EpochId };

export const NODE_SCOPE: Scope = { kind: 'node' };
const MAX_SCOPE_CHARACTERS = 80;
const KEY_RECORD = /^keys\/([0-9a-f]{64})\/./;
const KEY_SCOPE = /^key\/([0-9a-f]{64})\/(0|[1-9][0-9]{0,9})$/;

/** Where a record of the sealed store belongs. @param name of the record: `keys/<id>/...` belongs to that key */
export function scopeOf(name: string, epoch: EpochId): Scope {
  const id = KEY_RECORD.exec(name)?.[1];
  return id === undefined ? NODE_SCOPE : { kind: 'key', key: keyId(id), epoch };
}

export function scopeName(scope: Scope): string {
  return scope.kind === 'node' ? 'node' : `key/${scope.key}/${scope.epoch}`;
}

/** @throws {KmsError} BAD_INPUT */
export function scopeNamed(name: string): Scope {
  if (name === 'node') return NODE_SCOPE;
  const [, key, epoch] = KEY_SCOPE.exec(name) ?? [];
  if (key === undefined) throw new KmsError('BAD_INPUT', 'not the name of a scope');
  return { kind: 'key', key: keyId(key), epoch: epochId(Number(epoch)) };
}

const fields = struct({ name: text(MAX_SCOPE_CHARACTERS) });

export const scopeCodec: Codec<Scope> = {
  write: (out, scope) => fields.write(out, { name: scopeName(scope) }),
  read: (from) => scopeNamed(fields.read(from).name),
};
