import 'reflect-metadata';
import { createPrivateKey } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { X509Certificate } from '@peculiar/x509';
import { type Issuer, issueEvidence } from '../../enclave/platform/mock.ts';
import { systemRng } from '../../enclave/primitives.ts';
import { ROOTS } from '../../shared/attestation/roots/lab.ts';
import { toHex } from '../../shared/wire/bytes.ts';

const DAY_MS = 24 * 3600 * 1000;
/** A machine is given its certificates once; it may run for days. */
const LIFE_MS = 4 * DAY_MS;

/** The root that lab builds pin, with its private key, which is public. */
export async function labIssuer(): Promise<Issuer> {
  const [root] = ROOTS;
  if (root === undefined) throw new Error('there is no lab root');
  const pem = readFileSync(new URL('root-key.pem', import.meta.url));
  const pkcs8 = createPrivateKey(pem).export({ format: 'der', type: 'pkcs8' });
  const curve = { name: 'ECDSA', namedCurve: 'P-384' };
  return {
    certificate: new X509Certificate(Uint8Array.from(root.der)),
    key: await crypto.subtle.importKey('pkcs8', Uint8Array.from(pkcs8), curve, false, ['sign']),
  };
}

/**
 * Makes what an emulated security module signs with (qemu/nsm-evidence.h): key.pem, leaf.der, bundle-<i>.der.
 * @returns the module's id
 */
export async function writeEvidence(directory: string, root?: Issuer): Promise<string> {
  const moduleId = `i-${toHex(systemRng(8))}-enc${toHex(systemRng(8))}`;
  const { leaf, bundle } = await issueEvidence({
    ...{ root: root ?? (await labIssuer()), moduleId, nowMs: Date.now(), rng: systemRng },
    ...{ lifeMs: LIFE_MS, isExtractable: true },
  });
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', leaf.key)).toString('base64');
  const lines = pkcs8.match(/.{1,64}/g) ?? [];
  const pem = ['-----BEGIN PRIVATE KEY-----', ...lines, '-----END PRIVATE KEY-----', ''].join('\n');
  writeFileSync(join(directory, 'key.pem'), pem, { mode: 0o600 });
  writeFileSync(join(directory, 'leaf.der'), new Uint8Array(leaf.certificate.rawData));
  for (const [i, der] of bundle.entries()) writeFileSync(join(directory, `bundle-${i}.der`), der);
  return moduleId;
}
