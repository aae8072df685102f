import { signedImage } from '../../infra/eif/files.ts';
import { MAX_SECTIONS, maxSectionBytes, usualDefaults } from '../../infra/eif/format.ts';
import type { EnclaveImage } from '../../infra/eif/image.ts';
import { ownMetadata } from '../../infra/eif/metadata.ts';
import { measure } from '../../infra/eif/pcr.ts';
import { writeEif } from '../../infra/eif/writer.ts';
import { utf8 } from '../../shared/wire/bytes.ts';
import { nitroForm } from '../nitro-measurements.ts';
import type { Arguments } from './arguments.ts';
import type { Command } from './command.ts';
import { readInput, writeOutput } from './file.ts';
import type { Terminal } from './terminal.ts';

const architectures = ['x86_64', 'arm64'] as const;

export const eifBuild: Command = {
  name: 'eif build',
  summary: 'put a kernel and ramdisks together to an enclave image',
  forms: [
    '--kernel FILE --cmdline TEXT --name NAME --image-version V -o FILE RAMDISK...',
    '... --certificate FILE --private-key FILE',
  ],
  details: [
    'The first ramdisk boots the enclave (PCR1), the others are the application (PCR2). The same parts give the same file: ' +
      "it carries the source's date, not the build's. 'make eif' builds the parts as well and then this.",
  ],
  examples: [
    "kms eif build --kernel bzImage --cmdline 'panic=30' --name kms --image-version 1 -o k.eif boot.cpio app.cpio",
  ],
  options: {
    kernel: { value: 'FILE', help: 'bzImage (x86_64) or Image (arm64)' },
    cmdline: { value: 'TEXT', help: "the kernel's command line" },
    name: { value: 'NAME', help: "the image's name" },
    'image-version': { value: 'V', help: "the image's version" },
    'kernel-version': { value: 'V', help: "the kernel's version", default: 'unknown' },
    'source-date': {
      value: 'SECONDS',
      help: 'date of the source, in seconds since 1970 (default: $SOURCE_DATE_EPOCH or 0)',
    },
    arch: { value: 'ARCH', help: 'machine', choices: architectures, default: 'x86_64' },
    certificate: { value: 'FILE', help: 'sign: certificate, PEM, of a key on P-384' },
    'private-key': { value: 'FILE', help: 'sign: its private key, PEM without a passphrase' },
    output: { value: 'FILE', short: 'o', help: 'where the image goes' },
  },
  maxPositionals: MAX_SECTIONS,

  async run(given, terminal) {
    const output = given.required('output');
    const unsigned = await partsOf(given, terminal);
    const image = await signedIfWanted(unsigned, given);
    const bytes = writeEif(image);
    const Measurements = nitroForm(measure(image));
    await writeOutput(output, bytes);
    return {
      json: { output, sizeBytes: bytes.length, Measurements },
      lines: JSON.stringify({ Measurements }, undefined, 2).split('\n'),
    };
  },
};

async function partsOf(given: Arguments, terminal: Terminal): Promise<EnclaveImage> {
  given.positional(0, 'the first ramdisk');
  const cmdline = given.required('cmdline');
  const metadata = ownMetadata({
    imageName: given.required('name'),
    imageVersion: given.required('image-version'),
    kernelVersion: given.required('kernel-version'),
    sourceDateSeconds: sourceDate(given, terminal),
  });
  const kernel = await readInput(given.required('kernel'), 'the kernel', maxSectionBytes.kernel);
  const ramdisks: Uint8Array[] = [];
  for (const path of given.positionals) {
    ramdisks.push(await readInput(path, 'the ramdisk', maxSectionBytes.ramdisk));
  }
  const architecture = given.text('arch') === 'arm64' ? 'arm64' : 'x86_64';
  return {
    ...{ architecture, defaults: usualDefaults, kernel, cmdline: utf8(cmdline), metadata, ramdisks },
    signature: undefined,
  };
}

function sourceDate(given: Arguments, terminal: Terminal): number {
  const option = given.integer('source-date', 0, 2 ** 32 - 1);
  if (option !== undefined) return option;
  const variable = terminal.env.SOURCE_DATE_EPOCH ?? '0';
  return /^\d{1,10}$/.test(variable)
    ? Number(variable)
    : given.refuse(`SOURCE_DATE_EPOCH is a number of seconds, not '${variable}'`);
}

async function signedIfWanted(image: EnclaveImage, given: Arguments): Promise<EnclaveImage> {
  const [certificate, privateKey] = [given.text('certificate'), given.text('private-key')];
  if (certificate === undefined && privateKey === undefined) return image;
  if (certificate === undefined || privateKey === undefined) {
    return given.refuse('--certificate and --private-key go together');
  }
  return signedImage(image, { certificate, privateKey });
}
