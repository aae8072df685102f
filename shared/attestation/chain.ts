import { equalBytes } from '../wire/bytes.ts';
import type { VerifiedChain } from './chain-cache.ts';
import { type Certificate, parseUnverifiedCertificate } from './x509.ts';

/** Why a chain of certificates proves nothing. */
export type ChainFault =
  | 'issuer' // a certificate does not name the one above it as its issuer
  | 'not-an-authority' // an issuer without the CA flag
  | 'leaf-is-an-authority'
  | 'path-length' // more issuers below one than it permits
  | 'key-usage' // a key that may not sign what it signed
  | 'certificate-signature';

const CURVE = { name: 'ECDSA', namedCurve: 'P-384' };
const ES384 = { name: 'ECDSA', hash: 'SHA-384' };

/**
 * Verifies links and signatures of a chain, not its dates. The first certificate is trusted as it is: the caller has
 * compared its hash with a pinned one, so that its own signature adds nothing.
 * @param ders DER, the root first, the leaf last; two or more
 * @throws {KmsError} BAD_ENCODING
 */
export async function verifyChain(ders: readonly Uint8Array[]): Promise<VerifiedChain | ChainFault> {
  const certificates = ders.map(parseUnverifiedCertificate);
  const fault = linkFault(certificates);
  if (fault !== undefined) return fault;
  const keys = await Promise.all(certificates.map(({ publicKey }) => importedKey(publicKey)));
  const checks = certificates.slice(1).map(async ({ signed, signature }, i) => {
    const key = keys[i];
    return key !== undefined && (await verifySignature(key, signed, signature));
  });
  const leafKey = keys[keys.length - 1];
  if (!(await Promise.all(checks)).every((isGood) => isGood) || leafKey === undefined) {
    return 'certificate-signature';
  }
  return {
    leafKey,
    notBeforeMs: Math.max(...certificates.map(({ notBeforeMs }) => notBeforeMs)),
    notAfterMs: Math.min(...certificates.map(({ notAfterMs }) => notAfterMs)),
  };
}

/** What can be told without a key. @param chain the root first, the leaf last; two or more */
export function linkFault(chain: readonly Certificate[]): ChainFault | undefined {
  const issuers = chain.slice(0, -1);
  const leaf = chain[chain.length - 1];
  if (leaf === undefined || issuers.length === 0) return 'issuer';
  for (const [i, { issuer }] of chain.entries()) {
    const above = chain[i - 1];
    if (above !== undefined && !equalBytes(issuer, above.subject)) return 'issuer';
  }
  for (const [i, { isCa, pathLength, maySignCertificates }] of issuers.entries()) {
    if (!isCa) return 'not-an-authority';
    if (pathLength !== undefined && issuers.length - 1 - i > pathLength) return 'path-length';
    if (!maySignCertificates) return 'key-usage';
  }
  if (leaf.isCa) return 'leaf-is-an-authority';
  return leaf.maySignData ? undefined : 'key-usage';
}

/** Undefined for a point that is not on the curve. */
async function importedKey(point: Uint8Array): Promise<CryptoKey | undefined> {
  try {
    return await crypto.subtle.importKey('raw', Uint8Array.from(point), CURVE, false, ['verify']);
  } catch {
    return undefined;
  }
}

/** ECDSA over P-384 with SHA-384. @param signature r and s, 48 bytes each, big endian */
export function verifySignature(key: CryptoKey, data: Uint8Array, signature: Uint8Array): Promise<boolean> {
  return crypto.subtle.verify(ES384, key, Uint8Array.from(signature), Uint8Array.from(data));
}
