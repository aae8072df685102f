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
  ATTESTATION_EXTENSION,
  boundStatement,
  encodeBinding,
  IDENTITY_EXTENSION,
  NO_NETWORK,
} from '../../shared/attestation/certificate.ts';
import { nodeUserData } from '../../shared/attestation/user-data.ts';
import type { Digest } from '../../shared/ids.ts';
import type { Hashes, Signer } from '../../shared/primitives.ts';
import { equalBytes } from '../../shared/wire/bytes.ts';
import type { Nsm } from '../nsm/nsm.ts';

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

/** Who a node is, and which of its keys says so: the identity itself, or the boot key while that is sealed. */
export interface Speaker {
  /** Ed25519 public key of the node. */
  readonly identity: Uint8Array;
  /** Signs for the node. */
  readonly signer: Signer;
}

/** A node that holds its identity. */
export function speakerOf(identity: Signer): Speaker {
  return { identity: identity.publicKey, signer: identity };
}

/**
 * The TLS key of this process life and its certificates, each with a document made just then: first for no network, later
 * for the network the node belongs to. Secret: the private key, inside WebCrypto and OpenSSL only.
 */
export class Credentials {
  /** DER SubjectPublicKeyInfo of the TLS key. */
  readonly spki: Uint8Array;
  readonly #keys: CryptoKeyPair;
  #speaker: Speaker;
  readonly #hashes: Hashes;
  readonly #nsm: Nsm;

  private constructor(keys: CryptoKeyPair, spki: Uint8Array, speaker: Speaker, hashes: Hashes, nsm: Nsm) {
    this.#keys = keys;
    this.spki = spki;
    this.#speaker = speaker;
    this.#hashes = hashes;
    this.#nsm = nsm;
  }

  /** Draws a fresh TLS key. */
  static async create(identity: Signer, hashes: Hashes, nsm: Nsm): Promise<Credentials> {
    const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
    const spki = new Uint8Array(await crypto.subtle.exportKey('spki', keys.publicKey));
    return new Credentials(keys, spki, speakerOf(identity), hashes, nsm);
  }

  /** From now on certificates and documents are this speaker's. */
  speakAs(speaker: Speaker): void {
    this.#speaker = speaker;
  }

  /** Undefined once the identity speaks for itself. */
  get #bootKey(): Uint8Array | undefined {
    const { identity, signer } = this.#speaker;
    return equalBytes(identity, signer.publicKey) ? undefined : signer.publicKey;
  }

  /**
   * A document made now for this TLS key and identity within this network; PCR16 is bound to it already (nsm/).
   * @param nonce of whoever wants to see that it is fresh
   * @throws as Nsm
   */
  document(networkId: Digest, nonce?: Uint8Array): Promise<Uint8Array> {
    const bootKey = this.#bootKey;
    const role = bootKey === undefined ? 'primary' : 'boot';
    const { identity } = this.#speaker;
    const userData = nodeUserData(this.#hashes, { networkId, identity, role, bootKey });
    return this.#nsm.attest({
      publicKey: this.spki,
      userData,
      ...(nonce === undefined ? {} : { nonce }),
    });
  }

  /** A certificate that binds the TLS key to the identity within this network. @throws as Nsm */
  async identityFor(networkId: Digest = NO_NETWORK): Promise<TlsIdentity> {
    const bootKey = this.#bootKey;
    const statement = boundStatement(
      this.#hashes,
      networkId,
      this.spki,
      bootKey === undefined ? 'node' : 'boot',
    );
    const { identity, signer } = this.#speaker;
    const binding = encodeBinding({ networkId, identity, bootKey, signature: signer.sign(statement) });
    const document = await this.document(networkId);
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
          new Extension(ATTESTATION_EXTENSION, false, Uint8Array.from(document)),
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
