import { KmsError } from '../errors.ts';
import type { Hashes, Signer, Verifier } from '../primitives.ts';
import { tupleHash } from '../protocol/statement.ts';
import { equalBytes, fromHex } from '../wire/bytes.ts';
import { type Codec, decode, encode, list, signature64, struct, u8 } from '../wire/codec.ts';
import {
  badConfiguration,
  type Configuration,
  checkConfiguration,
  configurationCodec,
  configurationDigest,
} from './configuration.ts';
import { type Governance, MAX_GOVERNANCE_KEYS } from './governance.ts';

/** Signature by the governance key of that index (from 0) among the signing governance's keys. */
export interface GovernanceSignature {
  readonly key: number;
  /** Ed25519, 64 bytes */
  readonly signature: Uint8Array;
}

/** A configuration and signatures of its predecessor's governance, ascending by key; none on a fresh proposal. */
export interface SignedConfiguration {
  readonly configuration: Configuration;
  readonly signatures: readonly GovernanceSignature[];
}

export const MAX_SIGNED_CONFIGURATION_BYTES = 64 * 1024;

/** Layout only, see decodeSignedConfiguration(). */
export const signedConfigurationCodec: Codec<SignedConfiguration> = struct({
  configuration: configurationCodec,
  signatures: list<GovernanceSignature>(struct({ key: u8, signature: signature64 }), MAX_GOVERNANCE_KEYS),
});

/** @throws {KmsError} BAD_CONFIGURATION unless the configuration is well formed and not too large */
export function encodeSignedConfiguration(signed: SignedConfiguration): Uint8Array {
  checkConfiguration(signed.configuration);
  const bytes = encode(signedConfigurationCodec, signed);
  if (bytes.length > MAX_SIGNED_CONFIGURATION_BYTES) throw badConfiguration('the configuration is too large');
  return bytes;
}

/**
 * The one layout, signatures in order. Contents and signers are *not verified at this point*: ConfigurationChain does,
 * the cheap things first, so that bytes from anybody cost little.
 * @throws {KmsError} BAD_CONFIGURATION
 */
export function decodeSignedConfiguration(bytes: Uint8Array): SignedConfiguration {
  let signed: SignedConfiguration;
  try {
    if (bytes.length > MAX_SIGNED_CONFIGURATION_BYTES) throw new KmsError('BAD_ENCODING', 'too large');
    signed = decode(signedConfigurationCodec, bytes);
  } catch (cause) {
    throw badConfiguration('these bytes are not a configuration', cause);
  }
  checkOrder(signed);
  return signed;
}

/** What a governance key signs. */
export function governanceStatement(hashes: Hashes, configuration: Configuration): Uint8Array {
  return tupleHash(hashes, 'configuration/governance', fromHex(configurationDigest(hashes, configuration)));
}

/**
 * Adds one signature; the others stay as they are.
 * @param signing the governance of the predecessor, of genesis for number 0
 * @throws {KmsError} BAD_INPUT if the key is none of them or has signed already
 */
export function signConfiguration(
  hashes: Hashes,
  key: Signer,
  signing: Governance,
  signed: SignedConfiguration,
): SignedConfiguration {
  const { configuration, signatures } = signed;
  const index = signing.keys.findIndex((one) => equalBytes(one, key.publicKey));
  if (index < 0) throw new KmsError('BAD_INPUT', 'this key is not one that signs this configuration');
  if (signatures.some((one) => one.key === index)) {
    throw new KmsError('BAD_INPUT', `governance key ${index + 1} has signed already`);
  }
  const own = { key: index, signature: key.sign(governanceStatement(hashes, configuration)) };
  return { configuration, signatures: [...signatures, own].sort((a, b) => a.key - b.key) };
}

/** Indices of the keys that validly signed; what else there is is ignored. */
export function signersOf(
  crypto: Hashes & Verifier,
  signing: Governance,
  { configuration, signatures }: SignedConfiguration,
): readonly number[] {
  const statement = governanceStatement(crypto, configuration);
  const valid = signatures.filter((one) => isSignedBy(crypto, signing, statement, one));
  return [...new Set(valid.map(({ key }) => key))];
}

function isSignedBy(
  crypto: Verifier,
  signing: Governance,
  statement: Uint8Array,
  { key, signature }: GovernanceSignature,
): boolean {
  const publicKey = signing.keys[key];
  return publicKey !== undefined && crypto.verify(publicKey, statement, signature);
}

/**
 * A quorum of distinct keys signed, and no signature is anything else.
 * @throws {KmsError} BAD_CONFIGURATION for duplicates or disorder, BAD_SIGNATURE
 */
export function checkGovernanceSignatures(
  crypto: Hashes & Verifier,
  signing: Governance,
  signed: SignedConfiguration,
): void {
  checkOrder(signed);
  const { signatures } = signed;
  if (signatures.length < signing.quorum) {
    throw new KmsError(
      'BAD_SIGNATURE',
      `${signatures.length} governance keys signed configuration ${signed.configuration.number}; ` +
        `${signing.quorum} are needed`,
    );
  }
  const statement = governanceStatement(crypto, signed.configuration);
  const wrong = signatures.find((one) => !isSignedBy(crypto, signing, statement, one));
  if (wrong !== undefined) {
    throw new KmsError('BAD_SIGNATURE', `the signature of governance key ${wrong.key + 1} is not valid`);
  }
}

function checkOrder({ signatures }: SignedConfiguration): void {
  if (signatures.some(({ key }, i) => i > 0 && key <= signatures[i - 1]!.key)) {
    throw badConfiguration('signatures are listed by key, ascending, each key once');
  }
}
