import 'reflect-metadata';
import { X509Certificate } from '@peculiar/x509';
import { KmsError } from '../errors.ts';
import type { Digest } from '../ids.ts';
import type { Hashes, Verifier } from '../primitives.ts';
import { NO_DIGEST, tupleHash } from '../protocol/statement.ts';
import { equalBytes, fromHex } from '../wire/bytes.ts';
import { type Codec, decode, digest32, encode, fixedBytes, signature64, struct, u8 } from '../wire/codec.ts';

/**
 * A node's TLS certificate: self-signed, born with the process, its key never leaves the enclave. What makes it worth
 * anything is one extension in which the node's identity key signs the TLS key for one network.
 * The object identifier lies under RFC 5612's enterprise number for examples.
 */
export const IDENTITY_EXTENSION = '1.3.6.1.4.1.32473.1.1';

/** The network id in certificates of a node that has not joined a network yet. */
export const NO_NETWORK: Digest = NO_DIGEST;

export interface IdentityBinding {
  readonly networkId: Digest;
  /** Ed25519 public key, 32 bytes. */
  readonly identity: Uint8Array;
  /** By `identity`, over boundStatement(). */
  readonly signature: Uint8Array;
}

const FORMAT = 1;
const MAX_CERTIFICATE_BYTES = 4096;

const layout: Codec<{ readonly format: number } & IdentityBinding> = struct({
  format: u8,
  networkId: digest32,
  identity: fixedBytes(32),
  signature: signature64,
});

/** The hash that the identity key signs. @param spki DER SubjectPublicKeyInfo of the TLS key */
export function boundStatement(hashes: Hashes, networkId: Digest, spki: Uint8Array): Uint8Array {
  return tupleHash(hashes, 'tls-key', 'node', fromHex(networkId), hashes.sha256(spki));
}

export function encodeBinding(binding: IdentityBinding): Uint8Array {
  return encode(layout, { format: FORMAT, ...binding });
}

/**
 * Checks a certificate that a TLS peer proved possession of: the binding's signature covers the certificate's own key
 * and the expected network. Whose identity it is, is for the caller to check.
 * Dates are not looked at: the key lives as long as its process, and membership is the configuration's business.
 * @param der the certificate as the TLS session saw it
 * @throws {KmsError} BAD_PEER
 */
export function verifyNodeCertificate(
  crypto: Hashes & Verifier,
  der: Uint8Array,
  networkId: Digest,
): { readonly identity: Uint8Array; readonly spki: Uint8Array } {
  const { binding, spki } = readNodeCertificate(der);
  if (binding.networkId !== networkId) {
    throw new KmsError('BAD_PEER', `the node belongs to network ${binding.networkId}, not ${networkId}`);
  }
  const statement = boundStatement(crypto, networkId, spki);
  if (!crypto.verify(binding.identity, statement, binding.signature)) {
    throw new KmsError('BAD_PEER', 'the certificate is not signed by the identity it names');
  }
  return { identity: binding.identity, spki };
}

/** As above, for a caller that knows whom it wants to talk to. @throws {KmsError} BAD_PEER */
export function verifyNodeIdentity(
  crypto: Hashes & Verifier,
  der: Uint8Array,
  expected: { readonly networkId: Digest; readonly identity: Uint8Array },
): { readonly spki: Uint8Array } {
  const { identity, spki } = verifyNodeCertificate(crypto, der, expected.networkId);
  if (!equalBytes(identity, expected.identity)) {
    throw new KmsError('BAD_PEER', 'the node is not the party that the configuration names at this address');
  }
  return { spki };
}

/** What a certificate claims; not verified at this point. @throws {KmsError} BAD_PEER */
export function readNodeCertificate(der: Uint8Array): {
  readonly binding: IdentityBinding;
  readonly spki: Uint8Array;
} {
  if (der.length > MAX_CERTIFICATE_BYTES) throw new KmsError('BAD_PEER', 'certificate is too large');
  try {
    const certificate = new X509Certificate(Uint8Array.from(der));
    const extensions = certificate.extensions.filter(({ type }) => type === IDENTITY_EXTENSION);
    const value = extensions[0]?.value;
    if (extensions.length !== 1 || value === undefined) {
      throw new KmsError('BAD_PEER', 'the certificate carries no node identity');
    }
    const { format, ...binding } = decode(layout, new Uint8Array(value));
    if (format !== FORMAT) throw new KmsError('BAD_PEER', `certificate format ${format} is not supported`);
    return { binding, spki: new Uint8Array(certificate.publicKey.rawData) };
  } catch (error) {
    if (error instanceof KmsError && error.code === 'BAD_PEER') throw error;
    throw new KmsError('BAD_PEER', 'the certificate is not one of a node', { cause: error });
  }
}
