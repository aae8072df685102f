import { KmsError } from '../../shared/errors.ts';
import { type Architecture, type Defaults, maxSectionBytes, type SectionKind } from './format.ts';
import { decodeMetadata } from './metadata.ts';
import { formOf } from './ramdisk.ts';
import { readSignatureSection } from './signature-section.ts';

/** Contents of an enclave image's sections, byte by byte. */
export interface EnclaveImage {
  readonly architecture: Architecture;
  readonly defaults: Defaults;
  readonly kernel: Uint8Array;
  /** Printable ASCII without a terminator. */
  readonly cmdline: Uint8Array;
  /** See metadata.ts. Not measured. */
  readonly metadata: Uint8Array;
  /** At least one. The first one boots (PCR1), the others are the application (PCR2). */
  readonly ramdisks: readonly Uint8Array[];
  /** See signature-section.ts; undefined for an unsigned image. */
  readonly signature: Uint8Array | undefined;
}

export interface Section {
  readonly kind: SectionKind;
  readonly contents: Uint8Array;
}

/** In the order of the file, which is also the order of measurement. */
export function sectionsOf({
  kernel,
  cmdline,
  metadata,
  ramdisks,
  signature,
}: EnclaveImage): readonly Section[] {
  const ofRamdisks = ramdisks.map((contents): Section => ({ kind: 'ramdisk', contents }));
  return [
    { kind: 'kernel', contents: kernel },
    { kind: 'cmdline', contents: cmdline },
    { kind: 'metadata', contents: metadata },
    ...ofRamdisks,
    ...(signature === undefined ? [] : [{ kind: 'signature', contents: signature } satisfies Section]),
  ];
}

/**
 * The contents' own rules. Registers hash kernel, command line and ramdisks without their lengths, so bytes can move
 * over a border unnoticed: a command line that must be text and ramdisks that must begin as such narrow that down.
 * A signature is not verified at this point.
 * @throws {KmsError} BAD_ENCODING, TOO_LARGE
 */
export function checkContents(image: EnclaveImage): void {
  for (const { kind, contents } of sectionsOf(image)) {
    if (contents.length === 0) throw new KmsError('BAD_ENCODING', `the ${kind} of the image is empty`);
    if (contents.length > maxSectionBytes[kind]) {
      throw new KmsError(
        'TOO_LARGE',
        `the ${kind} has ${contents.length} bytes; at most ${maxSectionBytes[kind]} are allowed`,
      );
    }
  }
  if (image.ramdisks.length === 0) throw new KmsError('BAD_ENCODING', 'the image has no ramdisk');
  if (!image.cmdline.every((byte) => byte >= 0x20 && byte <= 0x7e)) {
    throw new KmsError('BAD_ENCODING', 'the command line of the image is not printable ASCII');
  }
  decodeMetadata(image.metadata);
  for (const ramdisk of image.ramdisks) formOf(ramdisk);
  if (image.signature !== undefined) readSignatureSection(image.signature);
}
