import 'reflect-metadata';
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { X509CertificateGenerator } from '@peculiar/x509';
import { type CpioEntry, writeCpio } from '../../../infra/eif/cpio.ts';
import { usualDefaults } from '../../../infra/eif/format.ts';
import type { EnclaveImage } from '../../../infra/eif/image.ts';
import { buildTime, encodeMetadata, type Metadata } from '../../../infra/eif/metadata.ts';
import { codeOf } from '../../../shared/errors.ts';
import { utf8 } from '../../../shared/wire/bytes.ts';

export const metadata: Metadata = {
  imageName: 'threshold-kms',
  imageVersion: '0.1.0',
  build: {
    time: buildTime(1_700_000_000),
    tool: 'kms eif',
    toolVersion: '1',
    operatingSystem: 'Linux',
    kernelVersion: '6.1.0',
  },
  dockerInfo: {},
  customMetadata: null,
};

export const bootEntries: readonly CpioEntry[] = [
  { kind: 'directory', path: 'dev', mode: 0o755 },
  { kind: 'device', path: 'dev/console', mode: 0o600, major: 5, minor: 1 },
  { kind: 'file', path: 'init', mode: 0o755, contents: utf8('\x7fELF init') },
];

export const applicationEntries: readonly CpioEntry[] = [
  { kind: 'file', path: 'cmd', mode: 0o644, contents: utf8('/usr/bin/node\n') },
  { kind: 'directory', path: 'rootfs', mode: 0o755 },
  { kind: 'file', path: 'rootfs/empty', mode: 0o644, contents: new Uint8Array(0) },
  { kind: 'link', path: 'rootfs/lib64', target: 'lib' },
  { kind: 'file', path: 'rootfs/node', mode: 0o555, contents: utf8('node') },
];

/** An unsigned image of a few kilobytes. */
export function smallImage(changes: Partial<EnclaveImage> = {}): EnclaveImage {
  return {
    architecture: 'x86_64',
    defaults: usualDefaults,
    kernel: utf8('a kernel of thirty-three bytes...'),
    cmdline: utf8('reboot=k panic=30 pci=off'),
    metadata: encodeMetadata(metadata),
    ramdisks: [writeCpio(bootEntries), writeCpio(applicationEntries)],
    signature: undefined,
    ...changes,
  };
}

export interface Signer {
  /** PEM. */
  readonly certificate: Uint8Array;
  readonly key: KeyObject;
  readonly keyPem: string;
}

/** A self-signed certificate of the year 2030. */
export async function signer(curve: 'P-256' | 'P-384' = 'P-384'): Promise<Signer> {
  const algorithm = { name: 'ECDSA', namedCurve: curve };
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: 'C=DE, O=Release, CN=kms image',
    notBefore: new Date(Date.UTC(2030, 0, 1)),
    notAfter: new Date(Date.UTC(2031, 0, 1)),
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-384' },
    keys,
  });
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey));
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  return {
    certificate: utf8(`${certificate.toString('pem')}\n`),
    key,
    keyPem: key.export({ format: 'pem', type: 'pkcs8' }).toString(),
  };
}

/** Of what it throws. */
export function codeFrom(act: () => unknown): string {
  try {
    act();
    return 'no error';
  } catch (error) {
    return codeOf(error);
  }
}
