import { secp256k1 } from '@noble/curves/secp256k1.js';
import type { AttestationDocument } from '../attestation/document.ts';
import { measurementOf } from '../attestation/pcr.ts';
import { KmsError } from '../errors.ts';
import { SIGNATURE_BYTES } from '../gateway/signature.ts';
import type { Digest, EpochId, PartyId } from '../ids.ts';
import { type Measurement, measurementCodec } from '../network/measurement.ts';
import { type PartySignature, partySignature } from '../protocol/broadcast/messages.ts';
import type { Electorate } from '../protocol/certificate.ts';
import type { Membership } from '../protocol/machine.ts';
import { type Field, isSigned, signStatement, tupleHash } from '../protocol/statement.ts';
import { equalBytes } from '../wire/bytes.ts';
import { type Codec, digest32, encode, epoch, fixedBytes, list, party, struct } from '../wire/codec.ts';

/**
 * Who signs results for a member in an epoch, and what was seen of it: contracts cannot check attestation documents, so the
 * other enclaves do, and sign this (enclave.md section 1).
 */
export interface EnrolmentStatement {
  readonly epoch: EpochId;
  readonly party: PartyId;
  /** Compressed secp256k1 public key, 33 bytes. */
  readonly signer: Uint8Array;
  /** Ed25519, 32 bytes. */
  readonly identity: Uint8Array;
  /** SHA-256 of the DER SubjectPublicKeyInfo of the boot that was seen. */
  readonly tlsKey: Digest;
  readonly measurement: Measurement;
  /** SHA-256 of the document that was seen; its nonce is enrolmentNonce(). */
  readonly document: Digest;
}

/** A statement and the members that signed it, the enrolled one not among them. */
export interface Enrolment {
  readonly statement: EnrolmentStatement;
  /** Ascending by party. */
  readonly signatures: readonly PartySignature[];
  /** By the result signers of the same members, for contracts (node-enrolment.ts), 65 bytes each; none without a gateway. */
  readonly contractSignatures: readonly PartySignature[];
}

export const SIGNER_BYTES = 33;
const DOMAIN = 'enrolment';
const NONCE_DOMAIN = 'enrolment-nonce';
const MAX_SIGNATURES = 64;

export const enrolmentStatementCodec: Codec<EnrolmentStatement> = struct({
  epoch,
  party,
  signer: fixedBytes(SIGNER_BYTES),
  identity: fixedBytes(32),
  tlsKey: digest32,
  measurement: measurementCodec,
  document: digest32,
});

export const enrolmentCodec: Codec<Enrolment> = struct({
  statement: enrolmentStatementCodec,
  signatures: list(partySignature, MAX_SIGNATURES),
  contractSignatures: list<PartySignature>(
    struct({ party, signature: fixedBytes(SIGNATURE_BYTES) }),
    MAX_SIGNATURES,
  ),
});

/** Members that must have signed: all others in epoch 0, of which nobody is left out; 2t + 1 of them later. */
export function signaturesNeeded(among: Electorate): number {
  return among.epoch === 0 ? among.committee.n - 1 : among.committee.decodingQuorum;
}

/** What the document of an enrolment must contain, so that it vouches for the signer as well. */
export function enrolmentNonce(
  among: Electorate,
  of: Pick<EnrolmentStatement, 'party' | 'signer' | 'tlsKey'>,
): Uint8Array {
  const { networkId, configuration, epoch: now, primitives } = among;
  const about = [of.party, of.signer, of.tlsKey];
  return tupleHash(primitives, NONCE_DOMAIN, networkId, configuration, now, ...about);
}

/** What is true of a member according to its verified document. @param documentDigest SHA-256 of the document */
export function statementOf(
  among: Electorate,
  of: Pick<EnrolmentStatement, 'party' | 'signer' | 'tlsKey'>,
  document: AttestationDocument,
  documentDigest: Digest,
): EnrolmentStatement {
  const identity = among.identities.get(of.party);
  if (identity === undefined) throw new KmsError('BAD_INPUT', `party ${of.party} is no member`);
  const measurement = measurementOf(document.pcrs);
  return { epoch: among.epoch, ...of, identity, measurement, document: documentDigest };
}

export function signEnrolment(by: Membership, statement: EnrolmentStatement): Uint8Array {
  return signStatement(by, DOMAIN, ...fields(by, statement));
}

export function isEnrolmentSignature(
  among: Electorate,
  from: PartyId,
  statement: EnrolmentStatement,
  signature: Uint8Array,
): boolean {
  return isSigned(among, from, signature, DOMAIN, ...fields(among, statement));
}

/** By the signer itself, so that nobody enrols a key that is not his. @param secret 32 bytes */
export function provePossession(
  among: Electorate,
  statement: EnrolmentStatement,
  secret: Uint8Array,
): Uint8Array {
  return secp256k1.sign(possessed(among, statement), secret, { prehash: false });
}

export function isPossession(among: Electorate, statement: EnrolmentStatement, proof: Uint8Array): boolean {
  try {
    return secp256k1.verify(proof, possessed(among, statement), statement.signer, { prehash: false });
  } catch {
    return false;
  }
}

/**
 * That this enrolment is one of the network's epoch, signed by as many others as must.
 * @throws {KmsError} BAD_SIGNATURE
 */
export function verifyEnrolment(among: Electorate, { statement, signatures }: Enrolment): void {
  const { epoch: when, party: whom, identity } = statement;
  const expected = among.identities.get(whom);
  if (when !== among.epoch || expected === undefined || !equalBytes(expected, identity)) {
    throw new KmsError('BAD_SIGNATURE', 'the enrolment is not one of this epoch and its members');
  }
  const signers = new Set(
    signatures
      .filter(({ party: from }) => from !== whom)
      .filter(({ party: from, signature }) => isEnrolmentSignature(among, from, statement, signature))
      .map(({ party: from }) => from),
  );
  const needed = signaturesNeeded(among);
  if (signers.size < needed) {
    throw new KmsError('BAD_SIGNATURE', `${signers.size} members signed the enrolment, ${needed} must`);
  }
}

function fields(among: Electorate, statement: EnrolmentStatement): readonly Field[] {
  return [among.networkId, among.configuration, encode(enrolmentStatementCodec, statement)];
}

function possessed(among: Electorate, statement: EnrolmentStatement): Uint8Array {
  return tupleHash(among.primitives, 'enrolment-possession', ...fields(among, statement));
}
