import 'reflect-metadata';
import { createHash, createPublicKey, randomBytes } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { X509CertificateGenerator } from '@peculiar/x509';
import { type Digest, digest } from '../../../shared/ids.ts';

/** Certificate and private key of a front, PEM. Enclaves know it by the public key alone. */
export interface FrontIdentity {
  readonly cert: string;
  readonly key: string;
}

const CURVE = { name: 'ECDSA', namedCurve: 'P-256' };
const DAY_MS = 86_400_000;
const LIFE_MS = 365 * DAY_MS;

/** The one in a file, made once: configurations pin its key. */
export async function identityIn(file: string): Promise<FrontIdentity> {
  const found = await readFile(file, 'utf8').catch(() => undefined);
  if (found !== undefined) {
    const { cert, key }: FrontIdentity = JSON.parse(found);
    return { cert, key };
  }
  const identity = await freshIdentity();
  await writeFile(`${file}.tmp`, JSON.stringify(identity), { mode: 0o600 });
  await rename(`${file}.tmp`, file);
  return identity;
}

export async function freshIdentity(): Promise<FrontIdentity> {
  const keys = await crypto.subtle.generateKey(CURVE, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      ...{ serialNumber: `01${randomBytes(15).toString('hex')}`, name: 'CN=local chain', keys },
      ...{ notBefore: new Date(Date.now() - DAY_MS), notAfter: new Date(Date.now() + LIFE_MS) },
      signingAlgorithm: { ...CURVE, hash: 'SHA-256' },
    },
    crypto,
  );
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return {
    cert: certificate.toString('pem'),
    key: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`,
  };
}

/** SHA-256 of the DER SubjectPublicKeyInfo. */
export function pinOf({ cert }: FrontIdentity): Digest {
  const spki = createPublicKey(cert).export({ type: 'spki', format: 'der' });
  return digest(createHash('sha256').update(spki).digest('hex'));
}
