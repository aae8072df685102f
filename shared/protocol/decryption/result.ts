import { KmsError } from '../../errors.ts';
import type { ValueKind } from '../../fhe/envelope.ts';
import type { Value } from '../../fhe/value.ts';
import type { Digest, EpochId, KeyId, PartyId } from '../../ids.ts';
import {
  bytes,
  type Codec,
  decode,
  digest32,
  encode,
  epoch,
  key,
  list,
  party,
  residues,
  signature64,
  struct,
  u64,
  union,
} from '../../wire/codec.ts';
import type { Electorate } from '../certificate.ts';
import type { Membership } from '../machine.ts';
import { isSigned, signStatement } from '../statement.ts';

const valueCodec: Codec<Value> = union<Value>({
  scalar: struct({ value: u64 }),
  vector: struct({ values: residues(32768) }),
});

/** What the parties decrypted, and for which request. */
export interface DecryptionResult {
  readonly networkId: Digest;
  readonly request: Digest;
  readonly key: KeyId;
  readonly epoch: EpochId;
  readonly ciphertext: Digest;
  /** Canonical encoding of the value: what two parties must agree on. */
  readonly value: Uint8Array;
}

/** A party's signed answer, and the parties it saw signing wrong shares (its word, not part of the result). */
export interface SignedResult extends DecryptionResult {
  readonly party: PartyId;
  readonly signature: Uint8Array;
  readonly culprits: readonly PartyId[];
}

const signedResultCodec: Codec<SignedResult> = struct<SignedResult>({
  networkId: digest32,
  request: digest32,
  key,
  epoch,
  ciphertext: digest32,
  value: bytes(32768 * 8 + 64),
  party,
  signature: signature64,
  culprits: list(party, 64),
});

export function encodeValueBytes(value: Value): Uint8Array {
  return encode(valueCodec, value);
}

/** @throws {KmsError} BAD_ENCODING */
export function decodeValueBytes(value: Uint8Array, kind: ValueKind): Value {
  const decoded = decode(valueCodec, value);
  if (decoded.kind !== kind) throw new KmsError('BAD_ENCODING', `expected a ${kind}, got a ${decoded.kind}`);
  return decoded;
}

function fieldsOf(result: DecryptionResult): (string | number | Uint8Array)[] {
  const { networkId, request, key: keyId, epoch: epochNumber, ciphertext, value } = result;
  return [networkId, request, keyId, epochNumber, ciphertext, value];
}

/** Canonical bytes of this party's signed answer. */
export function signResult(
  by: Membership,
  result: DecryptionResult,
  culprits: readonly PartyId[],
): Uint8Array {
  const signature = signStatement(by, 'decryption/result', ...fieldsOf(result));
  return encode(signedResultCodec, { ...result, party: by.self, signature, culprits });
}

/**
 * One party's answer, checked: signed by that party for exactly this request.
 * @throws {KmsError} BAD_ENCODING; BAD_SIGNATURE when the signature or any field is not what was asked
 */
export function openResult(
  among: Electorate,
  expected: Omit<DecryptionResult, 'value'> & { readonly party: PartyId },
  encoded: Uint8Array,
): SignedResult {
  const result = decode(signedResultCodec, encoded);
  const isAsked =
    result.networkId === expected.networkId &&
    result.request === expected.request &&
    result.key === expected.key &&
    result.epoch === expected.epoch &&
    result.ciphertext === expected.ciphertext &&
    result.party === expected.party;
  if (
    !isAsked ||
    !isSigned(among, result.party, result.signature, 'decryption/result', ...fieldsOf(result))
  ) {
    throw new KmsError(
      'BAD_SIGNATURE',
      `the answer of party ${expected.party} is not signed for this request`,
    );
  }
  return result;
}
