import { describe, expect, it } from 'vitest';
import type { EnclaveImage } from '../../../infra/eif/image.ts';
import { readEif } from '../../../infra/eif/reader.ts';
import { writeEif } from '../../../infra/eif/writer.ts';
import { utf8 } from '../../../shared/wire/bytes.ts';
import { rawEif } from '../../oracle/eif.ts';
import { codeFrom, smallImage } from './fixture.ts';

describe('writeEif', () => {
  it('writeEif: header, places, section headers and checksum are those of the format', () => {
    const image = smallImage();
    const { kernel, cmdline, metadata, ramdisks } = image;
    const expected = rawEif({
      sections: [
        { type: 1, contents: kernel },
        { type: 2, contents: cmdline },
        { type: 5, contents: metadata },
        ...ramdisks.map((contents) => ({ type: 3, contents })),
      ],
    });
    expect(writeEif(image)).toEqual(expected);
    expect(writeEif({ ...image, architecture: 'arm64' }).slice(6, 8)).toEqual(Uint8Array.of(0, 1));
  });

  it('writeEif: the same image gives the same bytes, and back', () => {
    const image = smallImage();
    const bytes = writeEif(image);
    expect(writeEif(smallImage())).toEqual(bytes);
    expect(readEif(bytes)).toEqual(image);
    expect(writeEif(readEif(bytes))).toEqual(bytes);
  });

  it('writeEif: takes as many ramdisks as have a place, and no more', () => {
    const [ramdisk] = smallImage().ramdisks;
    const of = (count: number): EnclaveImage =>
      smallImage({ ramdisks: Array.from({ length: count }, () => ramdisk!) });
    expect(readEif(writeEif(of(29))).ramdisks).toHaveLength(29);
    expect(codeFrom(() => writeEif(of(30)))).toBe('TOO_LARGE');
  });

  it.each<[string, Partial<EnclaveImage>, string]>([
    ['no ramdisk', { ramdisks: [] }, 'BAD_ENCODING'],
    ['an empty kernel', { kernel: new Uint8Array(0) }, 'BAD_ENCODING'],
    ['an empty command line', { cmdline: new Uint8Array(0) }, 'BAD_ENCODING'],
    ['a command line with a terminator', { cmdline: utf8('panic=1\0') }, 'BAD_ENCODING'],
    ['a command line of two lines', { cmdline: utf8('panic=1\nquiet') }, 'BAD_ENCODING'],
    ['a command line beyond what the kernel takes', { cmdline: utf8('x'.repeat(2048)) }, 'TOO_LARGE'],
    ['metadata that is no JSON', { metadata: utf8('{') }, 'BAD_ENCODING'],
    ['a ramdisk that is no archive', { ramdisks: [utf8('init')] }, 'BAD_ENCODING'],
    ['an empty signature', { signature: new Uint8Array(0) }, 'BAD_ENCODING'],
    ['a kernel that is too large', { kernel: new Uint8Array((64 << 20) + 1) }, 'TOO_LARGE'],
    ['half a processor', { defaults: { memoryBytes: 1, cpus: 0.5 } }, 'BAD_INPUT'],
  ])('writeEif: refuses %s', (_, changes, code) => {
    expect(codeFrom(() => writeEif(smallImage(changes)))).toBe(code);
  });
});
