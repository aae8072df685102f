import { describe, expect, it } from 'vitest';
import { type CpioEntry, writeCpio } from '../../../infra/eif/cpio.ts';
import { readCpio } from '../../../infra/eif/cpio-reader.ts';
import { codeOf } from '../../../shared/errors.ts';
import { utf8 } from '../../../shared/wire/bytes.ts';
import { applicationEntries, bootEntries, codeFrom } from './fixture.ts';

/** Written down from the kernel's description of the format: thirteen fields of eight hexadecimal digits. */
const byHand = [
  '070701' +
    '00000001000041ED00000000000000000000000200000000000000000000000000000000000000000000000000000004' +
    '00000000',
  'dev\0\0\0',
  '070701' +
    '00000002000021800000000000000000000000010000000000000000000000000000000000000005000000010000000C' +
    '00000000',
  'dev/console\0\0\0',
  '070701' +
    '00000003000081ED00000000000000000000000100000000000000030000000000000000000000000000000000000005' +
    '00000000',
  'init\0\0ABC\0',
  '070701' +
    '000000040000A1FF00000000000000000000000100000000000000040000000000000000000000000000000000000004' +
    '00000000',
  'lib\0\0\0/usr',
  '070701' +
    '00000000000000000000000000000000000000010000000000000000000000000000000000000000000000000000000B' +
    '00000000',
  'TRAILER!!!\0\0\0\0',
].join('');

const entries: readonly CpioEntry[] = [
  { kind: 'link', path: 'lib', target: '/usr' },
  { kind: 'file', path: 'init', mode: 0o755, contents: utf8('ABC') },
  { kind: 'device', path: 'dev/console', mode: 0o600, major: 5, minor: 1 },
  { kind: 'directory', path: 'dev', mode: 0o755 },
];

describe('writeCpio', () => {
  it('writeCpio: bytes are those of the format, in order of the paths', () => {
    const padded = byHand.padEnd(Math.ceil(byHand.length / 512) * 512, '\0');
    expect(new TextDecoder().decode(writeCpio(entries))).toBe(padded);
    expect(writeCpio(entries.toReversed())).toEqual(writeCpio(entries));
  });

  it('writeCpio: an archive without entries is its trailer', () => {
    expect(readCpio(writeCpio([]))).toEqual([]);
  });

  it.each<[string, CpioEntry]>([
    ['an absolute path', file('/etc')],
    ['an empty path', file('')],
    ['a path that climbs', file('../etc')],
    ['a path that climbs within', { kind: 'directory', path: 'dev/..', mode: 0o755 }],
    ['a path with a dot', file('./etc')],
    ['a path with an empty name', file('dev//x')],
    ['a path that ends in a slash', file('dev/')],
    ['a path with a zero', file('a\0b')],
    ['a path beyond ASCII', file('ü')],
    ['a name that no file system takes', file('x'.repeat(256))],
    ['the name of the trailer', file('TRAILER!!!')],
    ['a file in a directory that is not there', file('etc/passwd')],
    ['a file within a file', file('init/x')],
    ['a file within a link', file('lib/x')],
    ['a path that is there twice', file('init')],
    ['setuid', { ...file('su'), mode: 0o4755 }],
    ['setgid', { ...file('sg'), mode: 0o2755 }],
    ['a mode with a file type', { ...file('x'), mode: 0o100644 }],
    ['half a mode', { ...file('x'), mode: 0.5 }],
    ['a link to nowhere', { kind: 'link', path: 'x', target: '' }],
    ['a link with a zero', { kind: 'link', path: 'x', target: 'a\0b' }],
    ['a device without a number', { kind: 'device', path: 'x', mode: 0o600, major: -1, minor: 0 }],
  ])('writeCpio: refuses %s', (_, entry) => {
    expect(codeFrom(() => writeCpio([...entries, entry]))).toBe('BAD_INPUT');
  });
});

describe('readCpio', () => {
  it.each([[bootEntries], [applicationEntries]])('readCpio: gives the entries back, set %#', (list) => {
    expect(readCpio(writeCpio(list))).toEqual(list);
  });

  it('readCpio: refuses every flipped bit outside of contents, names and permissions', () => {
    const bytes = writeCpio(entries);
    const before = readCpio(bytes);
    for (let at = 0; at < bytes.length; at++) {
      for (const bit of [0, 3, 7]) {
        const changed = Uint8Array.from(bytes);
        changed[at]! ^= 1 << bit;
        try {
          const after = readCpio(changed);
          expect(after).not.toEqual(before);
          expect(writeCpio(after)).toEqual(changed);
        } catch (error) {
          expect(codeOf(error)).toBe('BAD_ENCODING');
        }
      }
    }
  });

  it.each<[string, (text: string) => string]>([
    ['the old binary format', (text) => text.replace('070701', '070707')],
    ['the format with checksums', (text) => text.replace('070701', '070702')],
    ['small digits', (text) => text.replace('000041ED', '000041ed')],
    ['another owner', (text) => setField(text, 2, '000003E8')],
    ['another group', (text) => setField(text, 3, '000003E8')],
    ['a hard link', (text) => setField(text, 4, '00000003')],
    ['a time', (text) => setField(text, 5, '5F5E1000')],
    ['contents of a directory', (text) => setField(text, 6, '00000004')],
    ['a disk', (text) => setField(text, 8, '00000001')],
    ['a device number of a directory', (text) => setField(text, 9, '00000001')],
    ['a checksum', (text) => setField(text, 12, '00000001')],
    ['another number', (text) => setField(text, 0, '00000002')],
    ['a pipe', (text) => setField(text, 1, '000011A4')],
    ['a name beyond the end', (text) => setField(text, 11, 'FFFFFFFF')],
    ['a name without a size', (text) => setField(text, 11, '00000000')],
    ['a trailer with an owner', (text) => setField(text, 2, '000003E8', text.lastIndexOf('070701'))],
    ['no trailer', (text) => text.slice(0, text.indexOf('TRAILER') - 110)],
    ['bytes after the trailer', (text) => text.replace(/\0$/, 'x')],
    ['more zeros than fill the block', (text) => text + '\0'.repeat(512)],
    ['fewer zeros than fill the block', (text) => text.slice(0, -4)],
    ['an archive after the archive', (text) => text + text],
    ['a wrong order', (text) => text.replace('lib\0', 'aib\0')],
  ])('readCpio: refuses %s', (_, change) => {
    const text = new TextDecoder().decode(writeCpio(entries));
    const changed = change(text);
    expect(changed).not.toBe(text);
    expect(codeFrom(() => readCpio(utf8(changed)))).toBe('BAD_ENCODING');
  });

  it('readCpio: refuses setuid from anybody', () => {
    const text = new TextDecoder().decode(writeCpio(entries)).replace('000081ED', '000089ED');
    expect(codeFrom(() => readCpio(utf8(text)))).toBe('BAD_ENCODING');
  });
});

function file(path: string): CpioEntry & { readonly kind: 'file' } {
  return { kind: 'file', path, mode: 0o644, contents: utf8('x') };
}

/** Of the header at `start`. */
function setField(text: string, index: number, value: string, start = 0): string {
  const at = start + 6 + 8 * index;
  return text.slice(0, at) + value + text.slice(at + 8);
}
