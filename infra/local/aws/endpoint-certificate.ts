import 'reflect-metadata';
import { createPrivateKey, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { rootKey as mockRootKey } from '../../../enclave/platform/mock.ts';
import { ENDPOINT_ROOTS as labRoots } from '../../../shared/attestation/roots/lab.ts';
import { ENDPOINT_ROOTS as mockRoots } from '../../../shared/attestation/roots/mock.ts';

/** PEM, as node:tls takes them. */
export interface EndpointCertificate {
  readonly cert: string;
  readonly key: string;
}

/** Who signs: the root of mock builds or that of lab builds. Both private keys are public and prove nothing. */
export type StandInClass = 'mock' | 'lab';

const CURVE = { name: 'ECDSA', namedCurve: 'P-384' };
const ES384 = { ...CURVE, hash: 'SHA-384' };
const DAY_MS = 86_400_000;
const LIFE_MS = 90 * DAY_MS;
const LAB_KEY = new URL('../../lab/root-key.pem', import.meta.url);

/**
 * A certificate for the names of AWS endpoints, for the stand-in that answers in their place.
 * @param hosts the first also as common name; `*.` for one label
 */
export async function issueEndpointCertificate(
  by: StandInClass,
  hosts: readonly [string, ...string[]],
  nowMs: number = Date.now(),
): Promise<EndpointCertificate> {
  const issuer = new X509Certificate(Uint8Array.from((by === 'mock' ? mockRoots : labRoots)[0]!));
  const signingKey = by === 'mock' ? await mockRootKey() : await labRootKey();
  const keys = await crypto.subtle.generateKey(CURVE, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.create(
    {
      ...{ serialNumber: `01${randomBytes(15).toString('hex')}`, subject: `CN=${hosts[0]}` },
      ...{
        issuer: issuer.subjectName,
        notBefore: new Date(nowMs - DAY_MS),
        notAfter: new Date(nowMs + LIFE_MS),
      },
      ...{ signingAlgorithm: ES384, publicKey: keys.publicKey, signingKey },
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
        new SubjectAlternativeNameExtension(hosts.map((value) => ({ type: 'dns' as const, value }))),
      ],
    },
    crypto,
  );
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return {
    cert: certificate.toString('pem'),
    key: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`,
  };
}

async function labRootKey(): Promise<CryptoKey> {
  const pkcs8 = createPrivateKey(await readFile(LAB_KEY, 'utf8')).export({ type: 'pkcs8', format: 'der' });
  return crypto.subtle.importKey('pkcs8', Uint8Array.from(pkcs8), CURVE, false, ['sign']);
}
