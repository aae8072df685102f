import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type CpioEntry, writeCpio } from '../../../infra/eif/cpio.ts';
import { readCpio } from '../../../infra/eif/cpio-reader.ts';
import { describeImage } from '../../../infra/eif/describe.ts';
import { usualDefaults } from '../../../infra/eif/format.ts';
import { ownMetadata } from '../../../infra/eif/metadata.ts';
import { certificateRegister, measure } from '../../../infra/eif/pcr.ts';
import { readEif } from '../../../infra/eif/reader.ts';
import { readSignatureSection } from '../../../infra/eif/signature-section.ts';
import { writeEif } from '../../../infra/eif/writer.ts';
import { registersOf } from '../../../shared/network/measurement.ts';
import { toHex, utf8 } from '../../../shared/wire/bytes.ts';

/**
 * Two images made without this project's code: the file from its description, the registers by sha384sum, the signature by
 * openssl. Whoever changes a byte here changes the measurement of every release: a new tool version in the metadata, and
 * the CHANGELOG says so.
 */
interface Vector {
  readonly file: string;
  readonly registers: Readonly<Record<string, string>>;
}

const vectors: {
  readonly unsigned: Vector;
  readonly signed: Vector;
  readonly parts: {
    readonly kernel: string;
    readonly cmdline: string;
    readonly metadata: string;
    readonly ramdisks: readonly string[];
    readonly certificate: string;
  };
} = JSON.parse(readFileSync(new URL('images.json', import.meta.url), 'utf8'));

const bytesOf = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, 'base64'));
const { parts } = vectors;

const boot: readonly CpioEntry[] = [{ kind: 'file', path: 'init', mode: 0o755, contents: utf8('\x7fELF') }];
const application: readonly CpioEntry[] = [
  { kind: 'file', path: 'cmd', mode: 0o644, contents: utf8('/node\n') },
  { kind: 'directory', path: 'rootfs', mode: 0o755 },
  { kind: 'link', path: 'rootfs/lib', target: 'usr/lib' },
  { kind: 'file', path: 'rootfs/node', mode: 0o555, contents: Uint8Array.from({ length: 64 }, (_, i) => i) },
];

describe('frozen images', () => {
  it('frozen images: the writer gives these bytes from the parts', () => {
    const image = {
      ...({ architecture: 'x86_64', defaults: usualDefaults, kernel: bytesOf(parts.kernel) } as const),
      cmdline: utf8(parts.cmdline),
      metadata: ownMetadata({
        ...{ imageName: 'vector', imageVersion: '1', kernelVersion: '6.1.0' },
        sourceDateSeconds: Date.UTC(2026, 0, 1) / 1000,
      }),
      ramdisks: [writeCpio(boot), writeCpio(application)],
      signature: undefined,
    };
    expect(new TextDecoder().decode(image.metadata)).toBe(parts.metadata);
    expect(image.ramdisks).toEqual(parts.ramdisks.map(bytesOf));
    expect(writeEif(image)).toEqual(bytesOf(vectors.unsigned.file));
  });

  it.each(['unsigned', 'signed'] as const)('frozen images: the %s one has these registers', (name) => {
    const { file, registers } = vectors[name];
    const image = readEif(bytesOf(file));
    const found = registersOf(measure(image)).map(([register, value]) => [register, toHex(value)]);
    expect(Object.fromEntries(found)).toEqual(registers);
    expect(image.ramdisks.map(readCpio)).toEqual([boot, application]);
    expect(writeEif(image)).toEqual(bytesOf(file));
  });

  it('frozen images: the certificate alone tells PCR8', () => {
    const { certificate } = readSignatureSection(readEif(bytesOf(vectors.signed.file)).signature!);
    expect(new TextDecoder().decode(certificate)).toBe(parts.certificate);
    expect(toHex(certificateRegister(certificate))).toBe(vectors.signed.registers.pcr8);
  });

  it('frozen images: the description has the fields of nitro-cli, in its order', () => {
    const { pcr0, pcr1, pcr2, pcr8 } = vectors.signed.registers;
    const description = describeImage(readEif(bytesOf(vectors.signed.file)));
    expect(Object.keys(description)).toEqual([
      ...['EifVersion', 'Measurements', 'IsSigned', 'SigningCertificate', 'CheckCRC', 'SignatureCheck'],
      ...['ImageName', 'ImageVersion', 'Metadata'],
    ]);
    expect(description).toMatchObject({
      EifVersion: 4,
      Measurements: { HashAlgorithm: 'Sha384 { ... }', PCR0: pcr0, PCR1: pcr1, PCR2: pcr2, PCR8: pcr8 },
      IsSigned: true,
      SigningCertificate: {
        IssuerName: { commonName: 'image signer', countryName: 'DE', organizationName: 'Vector' },
        Algorithm: 'ecdsa-with-SHA384',
        NotBefore: expect.stringMatching(/^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4} GMT$/),
        Signature: expect.stringMatching(/^30(:[0-9A-F]{2}){100,110}$/),
      },
      CheckCRC: true,
      SignatureCheck: true,
      ImageName: 'vector',
      Metadata: { BuildTime: '2026-01-01T00:00:00+00:00', DockerInfo: {} },
    });
    expect(description.Metadata).not.toHaveProperty('CustomMetadata');
    expect(describeImage(readEif(bytesOf(vectors.unsigned.file)))).not.toHaveProperty('SignatureCheck');
  });
});
