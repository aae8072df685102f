import { describe, expect, it } from 'vitest';
import { MAX_EIF_BYTES } from '../../../infra/eif/format.ts';
import { readEif } from '../../../infra/eif/reader.ts';
import { writeEif } from '../../../infra/eif/writer.ts';
import { KmsError } from '../../../shared/errors.ts';
import { utf8 } from '../../../shared/wire/bytes.ts';
import { type RawFile, type RawSection, rawEif, withChecksum } from '../../oracle/eif.ts';
import { smallImage } from './fixture.ts';

const image = smallImage();
const kernel = { type: 1, contents: image.kernel };
const cmdline = { type: 2, contents: image.cmdline };
const metadata = { type: 5, contents: image.metadata };
const ramdisk = (index: number): RawSection => ({ type: 3, contents: image.ramdisks[index]! });
const [boot, app] = [ramdisk(0), ramdisk(1)];
const sections = [kernel, cmdline, metadata, boot, app];
const good: RawFile = { sections };

/** Where the ramdisks begin. */
const bootAt = 548 + 3 * 12 + image.kernel.length + image.cmdline.length + image.metadata.length;
const appAt = bootAt + 12 + boot.contents.length;

const edited = (edit: (view: DataView) => void): Uint8Array => {
  const bytes = rawEif(good);
  edit(new DataView(bytes.buffer));
  return withChecksum(bytes);
};

describe('readEif', () => {
  it('readEif: takes the good file that all bad ones are made from', () => {
    expect(readEif(rawEif(good))).toEqual(image);
  });

  it.each<[string, RegExp, RawFile]>([
    ['another magic', /begin with/, { ...good, magic: '.elf' }],
    ['version 3', /version 3/, { ...good, version: 3 }],
    ['version 5', /version 5/, { ...good, version: 5 }],
    ['unknown flags', /flags/, { ...good, flags: 2 }],
    ['a reserved field that is set', /reserved/, { ...good, reserved: 1 }],
    ['an unused field that is set', /reserved/, { ...good, unused: 1 }],
    ['a count that is too low', /a place to more/, { ...good, count: 4 }],
    ['a count that is too high', /overlaps|gap/, { ...good, count: 6 }],
    ['more sections than there are places', /33 sections/, { ...good, count: 33 }],
    ['no section', /the end where kernel/, { sections: [] }],
    ['trailing bytes', /1 bytes follow/, { ...good, trailing: new Uint8Array(1) }],
    ['the invalid type 0', /unknown type 0/, { sections: [...sections, { type: 0, contents: utf8('x') }] }],
    ['the unknown type 6', /unknown type 6/, { sections: [...sections, { type: 6, contents: utf8('x') }] }],
    ['a duplicate kernel', /kernel where cmdline/, { sections: [kernel, kernel, cmdline, metadata, boot] }],
    ['a second kernel at the end', /kernel where/, { sections: [...sections, kernel] }],
    ['a duplicate command line', /cmdline where/, { sections: [kernel, cmdline, cmdline, metadata, boot] }],
    ['duplicate metadata', /metadata where/, { sections: [kernel, cmdline, metadata, metadata, boot] }],
    ['metadata at the end', /ramdisk where metadata/, { sections: [kernel, cmdline, boot, app, metadata] }],
    ['no kernel', /cmdline where kernel/, { sections: [cmdline, metadata, boot, app] }],
    ['no command line', /metadata where cmdline/, { sections: [kernel, metadata, boot, app] }],
    ['no metadata', /ramdisk where metadata/, { sections: [kernel, cmdline, boot, app] }],
    ['no ramdisk', /the end where ramdisk/, { sections: [kernel, cmdline, metadata] }],
    ["a section's flags", /flags/, { sections: [{ ...kernel, flags: 1 }, ...sections.slice(1)] }],
    ['two sizes', /two sizes/, { sections: [...sections.slice(0, 4), { ...app, size: 512 }] }],
    [
      'a section over the one before',
      /overlaps/,
      { sections: [...sections.slice(0, 4), { ...app, place: { offset: bootAt } }] },
    ],
    [
      'a section within the header',
      /overlaps/,
      { sections: [{ ...kernel, place: { offset: 0 } }, ...sections.slice(1)] },
    ],
    [
      'places in another order than the sections',
      /gap|overlaps/,
      {
        sections: [
          ...sections.slice(0, 3),
          { ...boot, place: { offset: appAt, size: app.contents.length } },
          { ...app, place: { offset: bootAt, size: boot.contents.length } },
        ],
      },
    ],
    ['a gap', /gap/, { sections: [...sections.slice(0, 4), { ...app, place: { offset: appAt + 1 } }] }],
    [
      'a section beyond the end',
      /beyond the file/,
      { sections: [...sections.slice(0, 4), { ...app, size: 4096, place: { size: 4096 } }] },
    ],
    [
      'a place beyond 53 bits',
      /53 bits/,
      { sections: [...sections.slice(0, 4), { ...app, place: { size: 2 ** 60 } }] },
    ],
    [
      'an empty section',
      /empty/,
      { sections: [kernel, { type: 2, contents: new Uint8Array(0) }, metadata, boot] },
    ],
    [
      'a command line with a zero',
      /ASCII/,
      { sections: [kernel, { type: 2, contents: utf8('a\0b') }, metadata, boot] },
    ],
    [
      'a ramdisk of anything',
      /no archive/,
      { sections: [...sections, { type: 3, contents: utf8('anything') }] },
    ],
    [
      'a signature of anything',
      /signature/,
      { sections: [...sections, { type: 4, contents: utf8('anything') }] },
    ],
    [
      'a signature before a ramdisk',
      /ramdisk where/,
      { sections: [...sections, { type: 4, contents: utf8('x') }, app] },
    ],
  ])('readEif: refuses %s', (_, message, file) => {
    expect(failure(rawEif(file))).toMatchObject({
      code: 'BAD_ENCODING',
      message: expect.stringMatching(message),
    });
  });

  it('readEif: refuses a wrong checksum, and every single flipped bit of the file', () => {
    const bytes = rawEif(good);
    for (let at = 0; at < bytes.length; at++) {
      bytes[at]! ^= 1 << (at % 8);
      expect(failure(bytes).code).toMatch(/BAD_ENCODING|TOO_LARGE/);
      bytes[at]! ^= 1 << (at % 8);
    }
    expect(readEif(bytes)).toEqual(image);
  });

  it('readEif: refuses every truncation', () => {
    const bytes = rawEif(good);
    for (let size = 0; size < bytes.length; size += size < 560 ? 1 : 37) {
      expect(failure(bytes.subarray(0, size)).code).toBe('BAD_ENCODING');
    }
  });

  it('readEif: refuses a command line that is longer than the kernel takes, before it looks further', () => {
    const contents = utf8('x'.repeat(2048));
    const bytes = rawEif({ sections: [kernel, { type: 2, contents }, metadata, boot] });
    expect(failure(bytes)).toMatchObject({ code: 'TOO_LARGE', message: expect.stringMatching(/2047/) });
  });

  it('readEif: refuses a file beyond the limit unread', () => {
    expect(failure(new Uint8Array(MAX_EIF_BYTES + 1)).code).toBe('TOO_LARGE');
  });

  it('readEif: keeps the defaults and the architecture', () => {
    const bytes = edited((view) => {
      view.setUint16(6, 1);
      view.setBigUint64(8, 7n);
      view.setBigUint64(16, 9n);
    });
    const read = readEif(bytes);
    expect([read.architecture, read.defaults]).toEqual(['arm64', { memoryBytes: 7, cpus: 9 }]);
    expect(writeEif(read)).toEqual(bytes);
  });

  it('readEif: gives views, not copies', () => {
    const bytes = rawEif(good);
    expect(readEif(bytes).ramdisks[0]?.buffer).toBe(bytes.buffer);
  });
});

function failure(bytes: Uint8Array): KmsError {
  try {
    readEif(bytes);
  } catch (error) {
    if (error instanceof KmsError) return error;
    throw error;
  }
  throw new Error('it was read');
}
