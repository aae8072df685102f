import { KmsError } from '../../shared/errors.ts';
import { checksum } from './checksum.ts';
import {
  badEif,
  checksumOf,
  HEADER_BYTES,
  MAX_EIF_BYTES,
  maxSectionBytes,
  type Place,
  readHeader,
  readSectionHeader,
  SECTION_HEADER_BYTES,
  type SectionKind,
  sectionTypes,
} from './format.ts';
import { checkContents, type EnclaveImage, type Section } from './image.ts';

/** Which sections may follow one; undefined: the start, and the end. */
const successors: readonly (readonly [SectionKind | undefined, readonly (SectionKind | undefined)[]])[] = [
  [undefined, ['kernel']],
  ['kernel', ['cmdline']],
  ['cmdline', ['metadata']],
  ['metadata', ['ramdisk']],
  ['ramdisk', ['ramdisk', 'signature', undefined]],
  ['signature', [undefined]],
];

/**
 * Reads exactly what writeEif() writes: sections in their one order, back to back, from the header to the last byte, under
 * a right checksum. Contents are views of `bytes`. A signature is not verified at this point (signature.ts).
 * @throws {KmsError} BAD_ENCODING, TOO_LARGE
 */
export function readEif(bytes: Uint8Array): EnclaveImage {
  if (bytes.length > MAX_EIF_BYTES) {
    throw new KmsError('TOO_LARGE', `the image has ${bytes.length} bytes; at most ${MAX_EIF_BYTES} are read`);
  }
  const { architecture, defaults, places } = readHeader(bytes);
  const sections = readSections(bytes, places);
  const found = checksum(bytes);
  if (found !== checksumOf(bytes)) {
    throw badEif('its checksum is wrong; it was damaged or altered, fetch or build it again');
  }
  const image: EnclaveImage = {
    architecture,
    defaults,
    kernel: only(sections, 'kernel'),
    cmdline: only(sections, 'cmdline'),
    metadata: only(sections, 'metadata'),
    ramdisks: allOf(sections, 'ramdisk'),
    signature: allOf(sections, 'signature')[0],
  };
  checkContents(image);
  return image;
}

function readSections(bytes: Uint8Array, places: readonly Place[]): readonly Section[] {
  let end = HEADER_BYTES;
  let last: SectionKind | undefined;
  const sections = places.map((place, index) => {
    const section = readSection(bytes, place, end, `section ${index}`);
    requireOrder(last, section.kind);
    last = section.kind;
    end = place.offset + SECTION_HEADER_BYTES + place.size;
    return section;
  });
  requireOrder(last, undefined);
  if (end !== bytes.length) throw badEif(`${bytes.length - end} bytes follow the last section`);
  return sections;
}

function readSection(bytes: Uint8Array, { offset, size }: Place, expected: number, name: string): Section {
  if (offset < expected) throw badEif(`${name} overlaps what stands before it`);
  if (offset > expected) throw badEif(`there is a gap before ${name}`);
  const header = readSectionHeader(bytes, offset);
  const kind = kindOf(header.type);
  if (kind === undefined) throw badEif(`${name} is of the unknown type ${header.type}`);
  if (header.size !== size) throw badEif(`${name} has two sizes, ${size} and ${header.size}`);
  if (size > maxSectionBytes[kind]) {
    throw new KmsError(
      'TOO_LARGE',
      `${name}, a ${kind}, has ${size} bytes; at most ${maxSectionBytes[kind]}`,
    );
  }
  const start = offset + SECTION_HEADER_BYTES;
  if (size > bytes.length - start) throw badEif(`${name} ends beyond the file`);
  return { kind, contents: bytes.subarray(start, start + size) };
}

function requireOrder(last: SectionKind | undefined, next: SectionKind | undefined): void {
  const allowed = successors.find(([kind]) => kind === last)?.[1] ?? [];
  if (!allowed.includes(next)) {
    throw badEif(
      `${next ?? 'the end'} where ${allowed.map((kind) => kind ?? 'the end').join(' or ')} belongs`,
    );
  }
}

const kinds: readonly SectionKind[] = ['kernel', 'cmdline', 'metadata', 'ramdisk', 'signature'];

function kindOf(type: number): SectionKind | undefined {
  return kinds.find((kind) => sectionTypes[kind] === type);
}

function allOf(sections: readonly Section[], kind: SectionKind): readonly Uint8Array[] {
  return sections.filter((section) => section.kind === kind).map(({ contents }) => contents);
}

function only(sections: readonly Section[], kind: SectionKind): Uint8Array {
  const [contents] = allOf(sections, kind);
  if (contents === undefined) throw badEif(`it has no ${kind}`);
  return contents;
}
