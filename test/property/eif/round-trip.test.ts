import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CpioEntry, writeCpio } from '../../../infra/eif/cpio.ts';
import { readCpio } from '../../../infra/eif/cpio-reader.ts';
import { measure } from '../../../infra/eif/pcr.ts';
import { readEif } from '../../../infra/eif/reader.ts';
import { writeEif } from '../../../infra/eif/writer.ts';
import { toHex, utf8 } from '../../../shared/wire/bytes.ts';
import { registerOf } from '../../oracle/eif.ts';
import { smallImage } from '../../unit/eif/fixture.ts';

const name = fc.stringMatching(/^[a-z0-9@_. -]{1,12}$/).filter((text) => text !== '.' && text !== '..');
const mode = fc.nat(0o777);

const leaf: fc.Arbitrary<CpioEntry> = fc.oneof(
  fc.record({
    kind: fc.constant('file' as const),
    path: name,
    mode,
    contents: fc.uint8Array({ maxLength: 600 }),
  }),
  fc.record({ kind: fc.constant('link' as const), path: name, target: fc.stringMatching(/^[!-~]{1,20}$/) }),
  fc.record({
    kind: fc.constant('device' as const),
    path: name,
    mode,
    major: fc.nat(2 ** 20 - 1),
    minor: fc.nat(255),
  }),
);

/** Entries of up to three levels, each path once, in any order. */
const tree = fc.array(fc.tuple(fc.array(name, { maxLength: 2 }), leaf), { maxLength: 20 }).map((parts) => {
  const all = new Map<string, CpioEntry>();
  for (const [directories, entry] of parts) {
    const prefixes = directories.map((_, depth) => directories.slice(0, depth + 1).join('/'));
    const path = [...directories, entry.path].join('/');
    if (
      all.has(path) ||
      prefixes.some((prefix) => all.has(prefix) && all.get(prefix)?.kind !== 'directory')
    ) {
      continue;
    }
    for (const prefix of prefixes) all.set(prefix, { kind: 'directory', path: prefix, mode: 0o755 });
    all.set(path, { ...entry, path });
  }
  return [...all.values()];
});

const byPath = (a: CpioEntry, b: CpioEntry): number => (a.path < b.path ? -1 : 1);

describe('archives', () => {
  it('archives: reading gives back what was written, sorted', () => {
    fc.assert(
      fc.property(tree, (entries) => {
        expect(readCpio(writeCpio(entries))).toEqual(entries.toSorted(byPath));
      }),
    );
  });

  it('archives: do not depend on the order of the entries', () => {
    fc.assert(
      fc.property(
        tree.chain((entries) =>
          fc.tuple(fc.constant(entries), fc.shuffledSubarray(entries, { minLength: entries.length })),
        ),
        ([entries, shuffled]) => {
          expect(writeCpio(shuffled)).toEqual(writeCpio(entries));
        },
      ),
    );
  });

  it('archives: other entries, another archive', () => {
    fc.assert(
      fc.property(tree, tree, (a, b) => {
        const isSame = toHex(writeCpio(a)) === toHex(writeCpio(b));
        const [first, second] = [a.toSorted(byPath), b.toSorted(byPath)];
        if (isSame) expect(first).toEqual(second);
        else expect(first).not.toEqual(second);
      }),
    );
  });
});

describe('images', () => {
  const parts = fc.record({
    architecture: fc.constantFrom('x86_64' as const, 'arm64' as const),
    defaults: fc.record({ memoryBytes: fc.maxSafeNat(), cpus: fc.maxSafeNat() }),
    kernel: fc.uint8Array({ minLength: 1, maxLength: 2000 }),
    cmdline: fc.stringMatching(/^[ -~]{1,100}$/).map(utf8),
    ramdisks: fc.array(tree.map(writeCpio), { minLength: 1, maxLength: 4 }),
  });

  it('images: reading gives back what was written, byte by byte', () => {
    fc.assert(
      fc.property(parts, (changes) => {
        const image = smallImage(changes);
        const bytes = writeEif(image);
        expect(readEif(bytes)).toEqual(image);
        expect(writeEif(readEif(bytes))).toEqual(bytes);
      }),
    );
  });

  it('images: registers are those of the parts, whatever the frame', () => {
    fc.assert(
      fc.property(parts, (changes) => {
        const { kernel, cmdline, ramdisks } = changes;
        const { pcr0, pcr1, pcr2 } = measure(smallImage(changes));
        expect([pcr0, pcr1, pcr2].map(toHex)).toEqual([
          registerOf(kernel, cmdline, ...ramdisks),
          registerOf(kernel, cmdline, ramdisks[0]!),
          registerOf(...ramdisks.slice(1)),
        ]);
      }),
    );
  });
});
