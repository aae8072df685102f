import { KmsError } from '../../shared/errors.ts';
import { checksum } from './checksum.ts';
import {
  HEADER_BYTES,
  MAX_EIF_BYTES,
  MAX_SECTIONS,
  SECTION_HEADER_BYTES,
  sectionTypes,
  setChecksum,
  writeHeader,
  writeSectionHeader,
} from './format.ts';
import { checkContents, type EnclaveImage, sectionsOf } from './image.ts';

/**
 * The file. One image has one file: readEif() gives the image back, and refuses any other file.
 * @throws {KmsError} BAD_ENCODING when a part is not what it should be, TOO_LARGE
 */
export function writeEif(image: EnclaveImage): Uint8Array {
  checkContents(image);
  const { memoryBytes, cpus } = image.defaults;
  if (!Number.isSafeInteger(memoryBytes) || !Number.isSafeInteger(cpus) || memoryBytes < 0 || cpus < 0) {
    throw new KmsError('BAD_INPUT', 'memory and processors of an image are whole numbers');
  }
  const sections = sectionsOf(image);
  if (sections.length > MAX_SECTIONS) {
    throw new KmsError('TOO_LARGE', `${sections.length} sections; an image has at most ${MAX_SECTIONS}`);
  }
  let end = HEADER_BYTES;
  const places = sections.map(({ contents: { length: size } }) => {
    const offset = end;
    end += SECTION_HEADER_BYTES + size;
    return { offset, size };
  });
  if (end > MAX_EIF_BYTES) {
    throw new KmsError('TOO_LARGE', `the image has ${end} bytes; at most ${MAX_EIF_BYTES} are allowed`);
  }
  const bytes = new Uint8Array(end);
  bytes.set(writeHeader({ architecture: image.architecture, defaults: image.defaults, places }));
  sections.forEach(({ kind, contents }, index) => {
    const offset = places[index]?.offset ?? 0;
    bytes.set(writeSectionHeader({ type: sectionTypes[kind], size: contents.length }), offset);
    bytes.set(contents, offset + SECTION_HEADER_BYTES);
  });
  setChecksum(bytes, checksum(bytes));
  return bytes;
}
