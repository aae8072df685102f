import { KmsError } from '../errors.ts';
import { type TypedDomain, typedDigest } from '../gateway/eip712.ts';
import { addressOf, isSignedBy, signDigest } from '../gateway/signature.ts';
import type { Typed } from '../gateway/typed-data.ts';
import type { PartyId } from '../ids.ts';
import { measurementDigest } from '../network/measurement.ts';
import type { Hashes } from '../primitives.ts';
import type { Electorate } from '../protocol/certificate.ts';
import { concat, fromHex } from '../wire/bytes.ts';
import { type Enrolment, type EnrolmentStatement, signaturesNeeded } from './enrolment.ts';

/**
 * An enrolment as contracts check it: the same statement as typed data (`NodeEnrolment`, gateway/README.md), signed by the result
 * signers of those members whose identities signed it. Public.
 */

/** Every field follows from the statement. @throws {KmsError} BAD_INPUT if its signer is no public key */
export function nodeEnrolment(hashes: Hashes, statement: EnrolmentStatement): Typed<'NodeEnrolment'> {
  return {
    epoch: BigInt(statement.epoch),
    party: statement.party,
    signer: addressOf(statement.signer),
    identity: statement.identity,
    tlsRoot: fromHex(statement.tlsKey),
    measurement: fromHex(measurementDigest(hashes, statement.measurement)),
    document: fromHex(statement.document),
  };
}

/** @param secret of a result signer, 32 bytes; secret. @returns 65 bytes */
export function signNodeEnrolment(
  hashes: Hashes,
  domain: TypedDomain,
  statement: EnrolmentStatement,
  secret: Uint8Array,
): Uint8Array {
  return signDigest(typedDigest(domain, 'NodeEnrolment', nodeEnrolment(hashes, statement)), secret);
}

/** @param signer compressed public key of a member's result signer. Never throws. */
export function isNodeEnrolmentSignature(
  hashes: Hashes,
  domain: TypedDomain,
  statement: EnrolmentStatement,
  signer: Uint8Array,
  signature: Uint8Array,
): boolean {
  try {
    const digest = typedDigest(domain, 'NodeEnrolment', nodeEnrolment(hashes, statement));
    return isSignedBy(addressOf(signer), digest, signature);
  } catch {
    return false;
  }
}

/**
 * That contracts take this enrolment, if the committee's signers are these: as many others as must signed, and nobody else did,
 * since one foreign signature makes a contract refuse them all. What verifyEnrolment() says is not said here.
 * @param signers compressed public keys of the members' result signers
 * @throws {KmsError} BAD_SIGNATURE
 */
export function verifyContractSignatures(
  among: Electorate,
  domain: TypedDomain,
  { statement, contractSignatures }: Enrolment,
  signers: ReadonlyMap<PartyId, Uint8Array>,
): void {
  for (const { party, signature } of contractSignatures) {
    const signer = signers.get(party);
    const isGood =
      signer !== undefined &&
      party !== statement.party &&
      isNodeEnrolmentSignature(among.primitives, domain, statement, signer, signature);
    if (!isGood)
      throw new KmsError('BAD_SIGNATURE', `the enrolment has no signature of party ${party}'s signer`);
  }
  const count = new Set(contractSignatures.map(({ party }) => party)).size;
  if (count !== contractSignatures.length || count < signaturesNeeded(among)) {
    throw new KmsError(
      'BAD_SIGNATURE',
      `${count} result signers signed the enrolment, ${signaturesNeeded(among)} must, each once`,
    );
  }
}

/** As `Registry.enrol` takes them. */
export function packedSignatures({ contractSignatures }: Enrolment): Uint8Array {
  return concat(...contractSignatures.map(({ signature }) => signature));
}
