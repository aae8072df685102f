import { KmsError } from '../../errors.ts';
import { galoisElements } from '../../fhe/galois.ts';
import { keyPrimes, presetByName } from '../../fhe/presets.ts';
import type { Digest, EpochId, KeyId } from '../../ids.ts';
import type { Residues } from '../../math/ring.ts';
import type { Hashes } from '../../primitives.ts';
import {
  type Codec,
  decode,
  digest32,
  encode,
  epoch,
  key,
  list,
  residues,
  struct,
  u8,
  u32,
} from '../../wire/codec.ts';
import {
  type Certificate,
  certificateCodec,
  type Electorate,
  isCertified,
  keyScope,
} from '../certificate.ts';
import { tupleDigest } from '../statement.ts';
import { type KeyRequest, keyIdOf, keyRequestCodec, type Network, requestPurpose } from './request.ts';

/**
 * The public part of a generated key: what the parties opened. The elements a are derived from the transcript
 * (PublicElements). All elements are in NTT form over the data primes and the special prime.
 */
export interface KeyRecord {
  readonly version: number;
  readonly networkId: Digest;
  readonly epoch: EpochId;
  readonly key: KeyId;
  readonly request: KeyRequest;
  readonly attempt: number;
  readonly session: Digest;
  /** Certified transcript of the seed setup. */
  readonly transcript: Digest;
  readonly publicKey: Residues;
  /** Per digit: (b, h1). */
  readonly relinearisation: readonly { readonly b: Residues; readonly h1: Residues }[];
  /** Per Galois element: b per digit. */
  readonly galois: readonly { readonly element: number; readonly b: readonly Residues[] }[];
}

export const KEY_RECORD_VERSION = 1;
const MAX_RESIDUES = 32768 * 16;
const MAX_DIGITS = 15;
const ringElement = residues(MAX_RESIDUES);

export const keyRecordCodec: Codec<KeyRecord> = struct({
  version: u8,
  networkId: digest32,
  epoch,
  key,
  request: keyRequestCodec,
  attempt: u32,
  session: digest32,
  transcript: digest32,
  publicKey: ringElement,
  relinearisation: list(struct({ b: ringElement, h1: ringElement }), MAX_DIGITS),
  galois: list(struct({ element: u32, b: list(ringElement, MAX_DIGITS) }), 64),
});

/** Bytes of an encoded record of this request. @throws {KmsError} UNKNOWN_PRESET */
export function recordSizeBytes(request: KeyRequest): number {
  const preset = presetByName(request.preset);
  const element = 4 + 8 * preset.degree * keyPrimes(preset).length;
  const relinearisation = 4 + preset.levels * 2 * element;
  const galois = 4 + galoisElements(preset, request.galois).length * (4 + 4 + preset.levels * element);
  // Version, epoch, attempt; network, key, session, transcript.
  const names = 1 + 4 + 4 + 4 * 32;
  return names + encode(keyRequestCodec, request).length + element + relinearisation + galois;
}

/** A key record and the n - t signatures that make it a key. */
export interface CertifiedKey {
  readonly record: KeyRecord;
  readonly certificate: Certificate;
}

export const certifiedKeyCodec: Codec<CertifiedKey> = struct({
  record: keyRecordCodec,
  certificate: certificateCodec,
});

/** What parties sign: the digest of the whole record. */
export function keyDigest(hashes: Hashes, record: KeyRecord): Digest {
  return tupleDigest(hashes, 'keygen/record', encode(keyRecordCodec, record));
}

/**
 * Reads a key that comes from anybody and checks that n - t parties of this network signed exactly it.
 * @throws {KmsError} BAD_ENCODING, WRONG_KEY (not the key asked for), BAD_SIGNATURE
 */
export function openCertifiedKey(among: Electorate, expected: KeyId, bytes: Uint8Array): CertifiedKey {
  const certified = decode(certifiedKeyCodec, bytes);
  checkRecord(among, expected, certified.record);
  const isSignedRecord =
    certified.certificate.statement === keyDigest(among.primitives, certified.record) &&
    isCertified(among, keyScope(expected), certified.certificate);
  if (!isSignedRecord) {
    throw new KmsError('BAD_SIGNATURE', 'the key record is not signed by n - t parties; do not use this key');
  }
  return certified;
}

/** The fields of a record that follow from the request. @throws {KmsError} BAD_ENCODING, WRONG_KEY */
export function checkRecord(among: Network, expected: KeyId, record: KeyRecord): void {
  if (record.version !== KEY_RECORD_VERSION) throw new KmsError('BAD_ENCODING', 'unknown key record version');
  const purpose = requestPurpose(among, record.request);
  const isExpected =
    record.key === expected &&
    record.networkId === among.networkId &&
    record.epoch === among.epoch &&
    keyIdOf(among, purpose, record.attempt) === expected;
  if (!isExpected) throw new KmsError('WRONG_KEY', 'the record is of another key, network or epoch');
}
