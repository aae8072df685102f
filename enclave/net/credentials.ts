import 'reflect-metadata';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import {
  boundStatement,
  encodeBinding,
  IDENTITY_EXTENSION,
  NO_NETWORK,
} from '../../shared/attestation/certificate.ts';
import type { Digest } from '../../shared/ids.ts';
import type { Hashes, Signer } from '../../shared/primitives.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** RFC 5280 section 4.1.2.5: no well-defined expiration date. The key dies with the process. */
const VALIDITY = { notBefore: new Date(0), notAfter: new Date('9999-12-31T23:59:59Z') };

/** What node:tls takes for its own side; `key` is secret. */
export interface TlsIdentity {
  /** PEM */
  readonly key: Buffer;
  /** PEM */
  readonly cert: string;
}

/**
 * The TLS key of this process life and its certificates: one for each network the node belongs to over that life, which
 * is none, then one. Secret: the private key, inside WebCrypto and OpenSSL only.
 */
export class Credentials {
  readonly #keys: CryptoKeyPair;
  readonly #identity: Signer;
  readonly #hashes: Hashes;

  private constructor(keys: CryptoKeyPair, identity: Signer, hashes: Hashes) {
    this.#keys = keys;
    this.#identity = identity;
    this.#hashes = hashes;
  }

  /** Draws a fresh TLS key. */
  static async create(identity: Signer, hashes: Hashes): Promise<Credentials> {
    const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
    return new Credentials(keys, identity, hashes);
  }

  /** A certificate that binds the TLS key to the identity within this network. */
  async identityFor(networkId: Digest = NO_NETWORK): Promise<TlsIdentity> {
    const spki = new Uint8Array(await crypto.subtle.exportKey('spki', this.#keys.publicKey));
    const statement = boundStatement(this.#hashes, networkId, spki);
    const binding = encodeBinding({
      networkId,
      identity: this.#identity.publicKey,
      signature: this.#identity.sign(statement),
    });
    const certificate = await X509CertificateGenerator.createSelfSigned(
      {
        ...VALIDITY,
        serialNumber: '01',
        name: 'CN=kms-node',
        signingAlgorithm: ALGORITHM,
        keys: this.#keys,
        extensions: [
          new BasicConstraintsExtension(false, undefined, true),
          new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
          new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
          new Extension(IDENTITY_EXTENSION, false, Uint8Array.from(binding)),
        ],
      },
      crypto,
    );
    const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', this.#keys.privateKey));
    const key = Buffer.from(
      `-----BEGIN PRIVATE KEY-----\n${pkcs8.toString('base64')}\n-----END PRIVATE KEY-----\n`,
    );
    pkcs8.fill(0);
    return { key, cert: certificate.toString('pem') };
  }
}
