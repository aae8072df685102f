import { createHash } from 'node:crypto';
import type { CpioEntry } from './cpio.ts';
import { readCpio } from './cpio-reader.ts';
import type { SectionKind } from './format.ts';
import { type EnclaveImage, sectionsOf } from './image.ts';
import { formOf, type RamdiskForm } from './ramdisk.ts';

/** Everything in an image, by hash. */
export interface Listing {
  readonly sections: readonly ListedSection[];
  readonly ramdisks: readonly ListedRamdisk[];
}

export interface ListedSection {
  readonly kind: SectionKind;
  readonly sizeBytes: number;
  readonly sha256: string;
}

export interface ListedRamdisk {
  readonly form: RamdiskForm;
  /** Undefined: packed by another tool; `why` tells. */
  readonly entries: readonly ListedEntry[] | undefined;
  readonly why?: string;
}

export interface ListedEntry {
  readonly kind: CpioEntry['kind'];
  /** With a leading slash. */
  readonly path: string;
  /** Octal. */
  readonly mode: string;
  readonly sizeBytes: number;
  /** Of a file. */
  readonly sha256?: string;
  /** Of a link. */
  readonly target?: string;
  /** Of a device. */
  readonly device?: string;
}

export function listingOf(image: EnclaveImage): Listing {
  return {
    sections: sectionsOf(image).map(({ kind, contents }) => ({
      kind,
      sizeBytes: contents.length,
      sha256: sha256(contents),
    })),
    ramdisks: image.ramdisks.map(listedRamdisk),
  };
}

function listedRamdisk(ramdisk: Uint8Array): ListedRamdisk {
  const form = formOf(ramdisk);
  if (form !== 'cpio')
    return { form, entries: undefined, why: `compressed by ${form}, which is not unpacked` };
  try {
    return { form, entries: readCpio(ramdisk).map(listedEntry) };
  } catch (error) {
    return { form, entries: undefined, why: error instanceof Error ? error.message : String(error) };
  }
}

export function listedEntry(entry: CpioEntry): ListedEntry {
  const { kind } = entry;
  const common = {
    kind,
    path: `/${entry.path}`,
    mode: (kind === 'link' ? 0o777 : entry.mode).toString(8).padStart(4, '0'),
    sizeBytes: kind === 'file' ? entry.contents.length : 0,
  };
  switch (kind) {
    case 'file':
      return { ...common, sha256: sha256(entry.contents) };
    case 'link':
      return { ...common, target: entry.target };
    case 'device':
      return { ...common, device: `${entry.major}:${entry.minor}` };
    case 'directory':
      return common;
  }
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
