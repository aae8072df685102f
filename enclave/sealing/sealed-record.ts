import { createCipheriv, createDecipheriv } from 'node:crypto';
import { KmsError } from '../../shared/errors.ts';
import type { Digest, PartyId } from '../../shared/ids.ts';
import type { Rng } from '../../shared/primitives.ts';
import { tupleHash } from '../../shared/protocol/statement.ts';
import { concat, fromHex } from '../../shared/wire/bytes.ts';
import { nodePrimitives } from '../primitives.ts';

const FORMAT = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
export const SEAL_OVERHEAD_BYTES = 1 + NONCE_BYTES + TAG_BYTES;

/** Where a sealed record belongs; it opens nowhere else. Public. */
export interface RecordPlace {
  readonly type: 'manifest' | 'record';
  /** Name of the record; of the store for a manifest. */
  readonly id: string;
  /** Names the wrapping key's scope, key and epoch included. */
  readonly scope: string;
  /** Of the manifest that it is, or that was the first to hold it. */
  readonly version: number;
  readonly party: PartyId;
  readonly networkId: Digest;
}

/**
 * AES-256-GCM: format (1), nonce (12, random), ciphertext, tag (16); associated data: the format and the record's place.
 * @param key 32 secret bytes
 */
export function sealRecord(key: Uint8Array, place: RecordPlace, bytes: Uint8Array, rng: Rng): Uint8Array {
  const nonce = rng(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(associated(place));
  const body = cipher.update(bytes);
  return concat(Uint8Array.of(FORMAT), nonce, body, cipher.final(), cipher.getAuthTag());
}

/** @throws {KmsError} STORE_FAILED if the record was changed, cut, or belongs elsewhere */
export function openRecord(key: Uint8Array, place: RecordPlace, sealed: Uint8Array): Uint8Array {
  if (sealed.length < SEAL_OVERHEAD_BYTES || sealed[0] !== FORMAT) {
    throw new KmsError('STORE_FAILED', `${place.type} ${place.id} is damaged`);
  }
  const nonce = sealed.subarray(1, 1 + NONCE_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(associated(place));
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  const body = decipher.update(sealed.subarray(1 + NONCE_BYTES, -TAG_BYTES));
  try {
    return concat(body, decipher.final());
  } catch (cause) {
    throw new KmsError('STORE_FAILED', `${place.type} ${place.id} was changed or belongs elsewhere`, {
      cause,
    });
  } finally {
    body.fill(0);
  }
}

function associated({ type, id, scope, version, party, networkId }: RecordPlace): Uint8Array {
  return tupleHash(
    nodePrimitives,
    'sealed-record',
    FORMAT,
    type,
    id,
    scope,
    version,
    party,
    fromHex(networkId),
  );
}
