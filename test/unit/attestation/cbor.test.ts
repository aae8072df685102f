import { Encoder } from 'cbor-x';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CborValue, readCbor } from '../../../shared/attestation/cbor.ts';
import { writeCbor } from '../../../shared/attestation/cbor-writer.ts';
import { fromHex, toHex } from '../../../shared/wire/bytes.ts';

const badEncoding = expect.objectContaining({ code: 'BAD_ENCODING' });

const leaf: fc.Arbitrary<CborValue> = fc.oneof(
  fc.maxSafeInteger(),
  fc.integer({ min: -300, max: 300 }),
  fc.string({ unit: 'grapheme', maxLength: 30 }),
  fc.uint8Array({ maxLength: 300 }),
  fc.boolean(),
  fc.constant(null),
);
const value: fc.Arbitrary<CborValue> = fc.letrec<{ value: CborValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    leaf,
    fc.array(tie('value'), { maxLength: 5 }),
    fc
      .uniqueArray(fc.tuple(fc.oneof(fc.string(), fc.maxSafeInteger()), tie('value')), {
        maxLength: 5,
        selector: ([key]) => key,
      })
      .map((entries) => new Map(entries)),
  ),
})).value;

describe('CBOR', () => {
  it('CBOR: what is written is read, and reads are the inverse of writes', () => {
    fc.assert(
      fc.property(value, (of) => {
        const bytes = writeCbor(of);
        const back = readCbor(bytes);
        expect(back).toEqual(of);
        expect(writeCbor(back)).toEqual(bytes);
      }),
      { numRuns: 300 },
    );
  });

  it('CBOR: whatever is accepted has exactly that encoding', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 24 }), (bytes) => {
        let read: CborValue;
        try {
          read = readCbor(bytes);
        } catch (error) {
          expect(error).toEqual(badEncoding);
          return;
        }
        expect(toHex(writeCbor(read))).toBe(toHex(bytes));
      }),
      { numRuns: 2000 },
    );
  });

  it('CBOR: another encoder agrees', () => {
    const other = new Encoder({
      mapsAsObjects: false,
      useRecords: false,
      tagUint8Array: false,
      variableMapSize: true,
    });
    const small = fc.oneof(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), fc.uint8Array(), fc.boolean());
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(fc.string(), small), { selector: ([key]) => key }), (entries) => {
        const map = new Map<string, CborValue>(entries);
        expect(toHex(writeCbor(map))).toBe(toHex(new Uint8Array(other.encode(map))));
      }),
    );
  });

  /** RFC 8949 appendix A. */
  it.each<[string, CborValue]>([
    ['00', 0],
    ['17', 23],
    ['1818', 24],
    ['1903e8', 1000],
    ['1a000f4240', 1000000],
    ['1b000000e8d4a51000', 1000000000000],
    ['20', -1],
    ['3863', -100],
    ['3903e7', -1000],
    ['f4', false],
    ['f6', null],
    ['4401020304', Uint8Array.of(1, 2, 3, 4)],
    ['6449455446', 'IETF'],
    ['62c3bc', 'ü'],
    ['64f0908591', '\u{10151}'],
    ['8301820203820405', [1, [2, 3], [4, 5]]],
    ['a201020304', new Map([[1, 2], [3, 4]])], // biome-ignore format: one line per vector.
  ])('CBOR: published vector %s', (hex, expected) => {
    expect(readCbor(fromHex(hex))).toEqual(expected);
    expect(toHex(writeCbor(expected))).toBe(hex);
  });

  it.each<[string, string]>([
    ['nothing', ''],
    ['trailing bytes', '0000'],
    ['a truncated head', '19'],
    ['a truncated argument', '1901'],
    ['a truncated string', '4401'],
    ['a truncated array', '8201'],
    ['a truncated map', 'a101'],
    ['an integer of 1 byte that fits the head', '1817'],
    ['an integer of 2 bytes that fits 1', '1900ff'],
    ['an integer of 4 bytes that fits 2', '1a0000ffff'],
    ['an integer of 8 bytes that fits 4', '1b00000000ffffffff'],
    ['a length that is not shortest', '580100'],
    ['an integer beyond 53 bits', '1b0020000000000000'],
    ['a negative integer beyond 53 bits', '3b001fffffffffffff'],
    ['an indefinite byte string', '5f4101ff'],
    ['an indefinite text', '7f6161ff'],
    ['an indefinite array', '9f01ff'],
    ['an indefinite map', 'bf0101ff'],
    ['a break alone', 'ff'],
    ['a reserved head', '1c'],
    ['a reserved head with an argument', `1c01${'00'.repeat(15)}`],
    ['a reserved head with a small argument', `1d${'00'.repeat(28)}01000000`],
    ['a tag', 'd28443a1012240'],
    ['a big number', 'c249010000000000000000'],
    ['a float', 'f93c00'],
    ['undefined', 'f7'],
    ['a simple value', 'f8ff'],
    ['a duplicate integer key', 'a201000100'],
    ['a duplicate text key', 'a2616100616101'],
    ['a key that is bytes', 'a1410100'],
    ['a key that is an array', 'a18000'],
    ['text that is not UTF-8', '62c328'],
    ['a surrogate in text', '63eda080'],
    ['a huge array', '9affffffff'],
    ['a huge string', '5affffffff'],
    ['more items than allowed', `9841${'00'.repeat(65)}`],
    ['deep nesting', `${'81'.repeat(20)}00`],
  ])('CBOR: refuses %s', (_, hex) => {
    expect(() => readCbor(fromHex(hex))).toThrow(badEncoding);
  });

  it('CBOR: refuses to write what has no encoding here', () => {
    for (const bad of [0.5, Number.NaN, 2 ** 53, -(2 ** 53) - 2]) {
      expect(() => writeCbor(bad)).toThrow(expect.objectContaining({ code: 'BAD_INPUT' }));
    }
  });
});
