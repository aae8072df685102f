import type { Digest, PartyId } from '../ids.ts';
import type { Hashes } from '../primitives.ts';
import type { Membership } from '../protocol/machine.ts';
import { digestOf, type Field, isSigned, signStatement, tupleHash } from '../protocol/statement.ts';
import { type Codec, digest32, party, signature64, struct, u32 } from '../wire/codec.ts';

/**
 * One boot of one identity, in its own words: a number, and the TLS key by which its peers know the process. Numbers only
 * grow; of two processes of one identity the one with the higher number counts (decision 0004, "Incarnations").
 */
export interface Incarnation {
  readonly party: PartyId;
  /** 1, 2, 3, ... */
  readonly number: number;
  /** SHA-256 of the DER SubjectPublicKeyInfo. */
  readonly tlsKey: Digest;
  /** By the identity of `party`, over (networkId, identity, number, tlsKey). */
  readonly signature: Uint8Array;
}

/** How far above the highest known one a number may be. */
export const MAX_INCARNATION_JUMP = 2 ** 16;

export const incarnationCodec: Codec<Incarnation> = struct({
  party,
  number: u32,
  tlsKey: digest32,
  signature: signature64,
});

const RECORD = 'incarnation';
const ACKNOWLEDGEMENT = 'incarnation-acknowledgement';

export function signIncarnation(by: Membership, number: number, tlsKey: Digest): Incarnation {
  const unsigned = { party: by.self, number, tlsKey };
  return { ...unsigned, signature: signStatement(by, RECORD, ...recordFields(by, unsigned)) };
}

/** True iff its owner signed it for this network. */
export function isIncarnation(among: Membership, record: Incarnation): boolean {
  return isSigned(among, record.party, record.signature, RECORD, ...recordFields(among, record));
}

/**
 * What a peer does with a record of `offered.party` that is properly signed and came from the process it names: it takes a
 * higher number, repeats itself for the record it has, and refuses everything else, so that a number never stands for two
 * processes.
 * @param known the highest record so far
 */
export function isAcceptable(known: Incarnation | undefined, offered: Incarnation): boolean {
  const { number, tlsKey } = offered;
  const highest = known?.number ?? 0;
  if (number === highest) return tlsKey === known?.tlsKey;
  return number > highest && number - highest <= MAX_INCARNATION_JUMP;
}

/** Says that this record is durable here and that no lower one counts any more. */
export function signAcknowledgement(by: Membership, record: Incarnation): Uint8Array {
  return signStatement(by, ACKNOWLEDGEMENT, ...acknowledgedFields(by, record));
}

/** True iff `from` acknowledged exactly this record. */
export function isAcknowledgement(
  among: Membership,
  from: PartyId,
  record: Incarnation,
  signature: Uint8Array,
): boolean {
  return isSigned(among, from, signature, ACKNOWLEDGEMENT, ...acknowledgedFields(among, record));
}

/** A process as the members know it. @param spki DER SubjectPublicKeyInfo of its TLS key */
export function tlsKeyOf(hashes: Hashes, spki: Uint8Array): Digest {
  return digestOf(hashes, spki);
}

function recordFields(
  { networkId, identities }: Membership,
  record: Pick<Incarnation, 'party' | 'number' | 'tlsKey'>,
): readonly Field[] {
  const identity = identities.get(record.party) ?? new Uint8Array(0);
  return [networkId, identity, record.number, record.tlsKey];
}

function acknowledgedFields(among: Membership, record: Incarnation): readonly Field[] {
  return [among.networkId, tupleHash(among.primitives, RECORD, ...recordFields(among, record))];
}
