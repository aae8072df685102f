import { readEifFile } from '../../infra/eif/files.ts';
import { type ListedEntry, type ListedRamdisk, listingOf } from '../../infra/eif/listing.ts';
import { decodeMetadata } from '../../infra/eif/metadata.ts';
import type { Command } from './command.ts';
import { table } from './table.ts';

export const eifInspect: Command = {
  name: 'eif inspect',
  summary: 'list everything in an enclave image, with hashes',
  forms: ['IMAGE'],
  details: [
    'Its sections, and every file of its ramdisks with its SHA-256. Files are listed of images that this project builds; of ' +
      "others, only the ramdisks' own hashes. A signature is not verified here: 'kms eif measure' does.",
  ],
  examples: ['kms eif inspect kms.eif', 'kms eif inspect kms.eif --json'],
  options: {},
  maxPositionals: 1,

  async run(given) {
    const image = await readEifFile(given.positional(0, 'the image'));
    const { sections, ramdisks } = listingOf(image);
    const { architecture, defaults } = image;
    const cmdline = new TextDecoder().decode(image.cmdline);
    const metadata = decodeMetadata(image.metadata);
    const { imageName, imageVersion, build } = metadata;
    return {
      json: { architecture, defaults, cmdline, metadata, sections, ramdisks },
      lines: [
        `${imageName} ${imageVersion}, ${architecture}, kernel ${build.kernelVersion}, source of ${build.time}`,
        `command line: ${cmdline}`,
        '',
        ...table([
          ['SECTION', 'BYTES', 'SHA-256'],
          ...sections.map(({ kind, sizeBytes, sha256 }) => [kind, `${sizeBytes}`, sha256]),
        ]),
        ...ramdisks.flatMap(linesOf),
      ],
    };
  },
};

function linesOf({ form, entries, why }: ListedRamdisk, index: number): readonly string[] {
  const title = `ramdisk ${index}, ${index === 0 ? 'boot' : 'application'}, ${form}`;
  if (entries === undefined) return ['', `${title}: its files are not listed (${why})`];
  const rows = entries.map((entry) => [
    entry.kind,
    entry.mode,
    `${entry.sizeBytes}`,
    entry.sha256 ?? '',
    pathOf(entry),
  ]);
  return ['', title, ...table([['KIND', 'MODE', 'BYTES', 'SHA-256', 'PATH'], ...rows])];
}

function pathOf({ path, target, device }: ListedEntry): string {
  return [path, target && `-> ${target}`, device && `(${device})`].filter((part) => part).join(' ');
}
