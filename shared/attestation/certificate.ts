import 'reflect-metadata';
import { X509Certificate } from '@peculiar/x509';
import { KmsError } from '../errors.ts';
import type { Digest } from '../ids.ts';
import type { Hashes, Verifier } from '../primitives.ts';
import { NO_DIGEST, tupleHash } from '../protocol/statement.ts';
import { equalBytes, fromHex } from '../wire/bytes.ts';
import {
  type Codec,
  decode,
  digest32,
  encode,
  fixedBytes,
  optional,
  signature64,
  struct,
  u8,
} from '../wire/codec.ts';
import { MAX_DOCUMENT_BYTES } from './document.ts';

/**
 * A node's TLS certificate: self-signed, born with the process, its key never leaves the enclave. What makes it worth
 * anything are two extensions: in one the node's identity key signs the TLS key for one network, the other is an attestation
 * document that vouches for the same TLS key, network and identity (node-evidence.ts verifies it).
 * The object identifiers lie under RFC 5612's enterprise number for examples.
 */
export const IDENTITY_EXTENSION = '1.3.6.1.4.1.32473.1.1';
export const ATTESTATION_EXTENSION = '1.3.6.1.4.1.32473.1.2';

/** The network id in certificates of a node that has not joined a network yet. */
export const NO_NETWORK: Digest = NO_DIGEST;

export interface IdentityBinding {
  readonly networkId: Digest;
  /** Ed25519 public key, 32 bytes. */
  readonly identity: Uint8Array;
  /**
   * Ed25519 public key of a node that has not unsealed its identity yet: the boot key that its configuration names signs
   * instead, and all that such a node may do is recall (decision 0005).
   */
  readonly bootKey: Uint8Array | undefined;
  /** By the boot key if there is one, else by `identity`, over boundStatement(). */
  readonly signature: Uint8Array;
}

/** What a certificate claims about its node. Its binding is verified, its document not at this point. */
export interface NodeClaim {
  /** Ed25519 public key, 32 bytes. */
  readonly identity: Uint8Array;
  /** The key that speaks for the identity while that is sealed; undefined: the identity does itself. */
  readonly bootKey?: Uint8Array | undefined;
  /** DER SubjectPublicKeyInfo of the TLS key. */
  readonly spki: Uint8Array;
  /** COSE_Sign1, unverified. */
  readonly document: Uint8Array;
}

const FORMAT = 2;
const MAX_CERTIFICATE_BYTES = MAX_DOCUMENT_BYTES + 2048;

const layout: Codec<{ readonly format: number } & IdentityBinding> = struct({
  format: u8,
  networkId: digest32,
  identity: fixedBytes(32),
  bootKey: optional(fixedBytes(32)),
  signature: signature64,
});

/** The hash that the identity or boot key signs. @param spki DER SubjectPublicKeyInfo of the TLS key */
export function boundStatement(
  hashes: Hashes,
  networkId: Digest,
  spki: Uint8Array,
  by: 'node' | 'boot' = 'node',
): Uint8Array {
  return tupleHash(hashes, 'tls-key', by, fromHex(networkId), hashes.sha256(spki));
}

export function encodeBinding(binding: IdentityBinding): Uint8Array {
  return encode(layout, { format: FORMAT, ...binding });
}

/**
 * The cheap checks of a certificate that a TLS peer proved possession of: the binding's signature covers the certificate's
 * own key and the expected network. Whose identity it is, and the document, are for the caller to check.
 * Dates are not looked at: the key lives as long as its process, and membership is the configuration's business.
 * @param der the certificate as the TLS session saw it
 * @param isKnown whom the caller would talk to: asked before any signature is verified
 * @param bootKeyOf the boot key of an identity, `any` for whoever looks only; without it nobody's is accepted
 * @throws {KmsError} BAD_PEER
 */
export function verifyNodeCertificate(
  crypto: Hashes & Verifier,
  der: Uint8Array,
  networkId: Digest,
  isKnown: (identity: Uint8Array) => boolean = () => true,
  bootKeyOf: (identity: Uint8Array) => Uint8Array | 'any' | undefined = () => undefined,
): NodeClaim {
  const { binding, spki, document } = readNodeCertificate(der);
  const { identity, bootKey } = binding;
  if (binding.networkId !== networkId) {
    throw new KmsError('BAD_PEER', `the node belongs to network ${binding.networkId}, not ${networkId}`);
  }
  if (!isKnown(identity)) {
    throw new KmsError('BAD_PEER', 'the node is not the one, or not one of those, that may answer here');
  }
  if (bootKey !== undefined) {
    const expected = bootKeyOf(identity);
    if (expected === undefined || (expected !== 'any' && !equalBytes(expected, bootKey))) {
      throw new KmsError('BAD_PEER', 'the node has not unsealed its identity');
    }
  }
  const statement = boundStatement(crypto, networkId, spki, bootKey === undefined ? 'node' : 'boot');
  if (!crypto.verify(bootKey ?? identity, statement, binding.signature)) {
    throw new KmsError('BAD_PEER', 'the certificate is not signed by the identity it names');
  }
  return { identity, bootKey, spki, document };
}

/** What a certificate claims; not verified at this point. @throws {KmsError} BAD_PEER */
export function readNodeCertificate(der: Uint8Array): {
  readonly binding: IdentityBinding;
  readonly spki: Uint8Array;
  readonly document: Uint8Array;
} {
  if (der.length > MAX_CERTIFICATE_BYTES) throw new KmsError('BAD_PEER', 'certificate is too large');
  try {
    const certificate = new X509Certificate(Uint8Array.from(der));
    const { format, ...binding } = decode(layout, extensionOf(certificate, IDENTITY_EXTENSION));
    if (format !== FORMAT) throw new KmsError('BAD_PEER', `certificate format ${format} is not supported`);
    const document = extensionOf(certificate, ATTESTATION_EXTENSION);
    return { binding, spki: new Uint8Array(certificate.publicKey.rawData), document };
  } catch (error) {
    if (error instanceof KmsError && error.code === 'BAD_PEER') throw error;
    throw new KmsError('BAD_PEER', 'the certificate is not one of a node', { cause: error });
  }
}

function extensionOf(certificate: X509Certificate, type: string): Uint8Array {
  const [extension, second] = certificate.extensions.filter((one) => one.type === type);
  if (extension === undefined || second !== undefined) {
    throw new KmsError('BAD_PEER', 'the certificate does not carry one node identity and one attestation');
  }
  return new Uint8Array(extension.value);
}
