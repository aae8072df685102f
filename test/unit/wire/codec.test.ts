import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codeOf } from '../../../shared/errors.ts';
import { digest, epochId, keyId, partyId } from '../../../shared/ids.ts';
import { fromHex, toHex } from '../../../shared/wire/bytes.ts';
import * as codec from '../../../shared/wire/codec.ts';

const { decode, encode } = codec;

function code(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return codeOf(error);
  }
  return 'no error';
}

/** The shapes that discriminated unions take. */
type Shape =
  | { readonly kind: 'dot' }
  | { readonly kind: 'line'; readonly length: number }
  | { readonly kind: 'name'; readonly name: string };
const shape: codec.Codec<Shape> = codec.union<Shape>({
  dot: codec.struct({}),
  line: codec.struct({ length: codec.u32 }),
  name: codec.struct({ name: codec.text(8) }),
});
const pair = codec.struct({ first: codec.u16, second: codec.bytes(4) });

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const hex32 = bytes32.map(toHex);

/** A codec with values of its domain. */
interface Subject<T> {
  readonly codec: codec.Codec<T>;
  readonly values: fc.Arbitrary<T>;
}
const subject = <T>(of: codec.Codec<T>, values: fc.Arbitrary<T>): Subject<unknown> =>
  ({ codec: of, values }) as unknown as Subject<unknown>;

const text = fc.string({ unit: 'binary', maxLength: 8 });
const subjects: readonly [string, Subject<unknown>][] = [
  ['u8', subject(codec.u8, fc.nat(255))],
  ['u16', subject(codec.u16, fc.nat(65_535))],
  ['u32', subject(codec.u32, fc.nat(0xffffffff))],
  ['u64', subject(codec.u64, fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }))],
  ['bool', subject(codec.bool, fc.boolean())],
  ['fixedBytes', subject(codec.fixedBytes(32), bytes32)],
  ['bytes', subject(codec.bytes(20), fc.uint8Array({ maxLength: 20 }))],
  ['text', subject(codec.text(64), text)],
  ['list', subject(codec.list(codec.u16, 5), fc.array(fc.nat(65_535), { maxLength: 5 }))],
  ['optional', subject(codec.optional(codec.u16), fc.option(fc.nat(65_535), { nil: undefined }))],
  ['struct', subject(pair, fc.record({ first: fc.nat(65_535), second: fc.uint8Array({ maxLength: 4 }) }))],
  [
    'union',
    subject(
      shape,
      fc.oneof(
        fc.constant<Shape>({ kind: 'dot' }),
        fc.record({ kind: fc.constant('line' as const), length: fc.nat(0xffffffff) }),
        fc.record({ kind: fc.constant('name' as const), name: fc.string({ maxLength: 8 }) }),
      ),
    ),
  ],
  [
    'party',
    subject(
      codec.party,
      fc.integer({ min: 1, max: 64 }).map((id) => partyId(id)),
    ),
  ],
  ['epoch', subject(codec.epoch, fc.nat(0xffffffff).map(epochId))],
  ['key', subject(codec.key, hex32.map(keyId))],
  ['digest32', subject(codec.digest32, hex32.map(digest))],
  ['signature64', subject(codec.signature64, fc.uint8Array({ minLength: 64, maxLength: 64 }))],
  ['residues', subject(codec.residues(6), fc.bigUint64Array({ maxLength: 6 }))],
];

describe.each(subjects)('%s', (name, { codec: of, values }) => {
  test(`codec: ${name} decodes what it encodes`, () => {
    fc.assert(
      fc.property(values, (value) => {
        expect(decode(of, encode(of, value))).toEqual(value);
      }),
    );
  });

  test(`codec: ${name} with a trailing byte is refused`, () => {
    fc.assert(
      fc.property(values, fc.nat(255), (value, extra) => {
        expect(code(() => decode(of, Uint8Array.from([...encode(of, value), extra])))).toBe('BAD_ENCODING');
      }),
    );
  });

  test(`codec: ${name} cut short anywhere is refused`, () => {
    fc.assert(
      fc.property(values, (value) => {
        const whole = encode(of, value);
        for (let size = 0; size < whole.length; size++)
          expect(code(() => decode(of, whole.subarray(0, size)))).toBe('BAD_ENCODING');
      }),
      { numRuns: 30 },
    );
  });

  test(`codec: ${name} accepts no second encoding of a value`, () => {
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 80 }),
      // Real encodings with one byte changed come closer.
      fc.tuple(values, fc.nat(), fc.nat(255)).map(([value, at, byte]) => {
        const whole = encode(of, value);
        return whole.length === 0 ? whole : whole.with(at % whole.length, byte);
      }),
    );
    fc.assert(
      fc.property(noise, (bytes) => {
        let value: unknown;
        try {
          value = decode(of, bytes);
        } catch (error) {
          expect(codeOf(error)).toBe('BAD_ENCODING');
          return;
        }
        expect(toHex(encode(of, value))).toBe(toHex(bytes));
      }),
      { numRuns: 300 },
    );
  });
});

test('codec: integers are little endian, lengths are 32 bits', () => {
  expect(toHex(encode(codec.u16, 0x0102))).toBe('0201');
  expect(toHex(encode(codec.u32, 0x01020304))).toBe('04030201');
  expect(toHex(encode(codec.u64, 0x0102030405060708n))).toBe('0807060504030201');
  expect(toHex(encode(codec.bytes(9), Uint8Array.of(7, 8)))).toBe('020000000708');
  expect(toHex(encode(codec.text(9), 'é'))).toBe('02000000c3a9');
  expect(toHex(encode(codec.list(codec.u8, 9), [5, 6]))).toBe('020000000506');
  expect(toHex(encode(codec.optional(codec.u8), undefined))).toBe('00');
  expect(toHex(encode(codec.optional(codec.u8), 3))).toBe('0103');
  expect(toHex(encode(shape, { kind: 'line', length: 1 }))).toBe('0101000000');
  expect(toHex(encode(codec.residues(9), BigUint64Array.of(1n)))).toBe('080000000100000000000000');
});

test.each<[string, codec.Codec<unknown>, string]>([
  ['bool 2', codec.bool, '02'],
  ['bool 255', codec.bool, 'ff'],
  ['optional tag 2', codec.optional(codec.u8), '0200'],
  ['union tag 3', shape, '03'],
  ['union tag 255', shape, 'ff'],
  ['party 0', codec.party, '00'],
  ['party 65', codec.party, '41'],
  ['bytes over the limit', codec.bytes(2), '03000000aabbcc'],
  ['text over the limit', codec.text(2), '03000000616263'],
  ['list over the limit', codec.list(codec.u8, 2), '03000000010203'],
  ['residues over the limit', codec.residues(1), `10000000${'00'.repeat(16)}`],
  ['residues of broken words', codec.residues(2), `09000000${'00'.repeat(9)}`],
  ['text of a lone continuation byte', codec.text(9), '0100000080'],
  ['text of an overlong zero', codec.text(9), '02000000c080'],
  ['text of a surrogate', codec.text(9), '03000000eda080'],
  ['text beyond Unicode', codec.text(9), '04000000f5808080'],
  ['truncated length', codec.bytes(9), '010000'],
  ['length of 2^32 - 1', codec.bytes(0xffffffff), 'ffffffff00'],
  ['list of 2^32 - 1', codec.list(codec.u8, 0xffffffff), 'ffffffff00'],
])('codec: %s is refused', (_, of, hex) => {
  expect(code(() => decode(of, fromHex(hex)))).toBe('BAD_ENCODING');
});

test('codec: a byte order mark is part of the text', () => {
  const marked = encode(codec.text(9), '\ufeffa');
  expect(toHex(marked)).toBe('04000000efbbbf61');
  expect(decode(codec.text(9), marked)).toBe('\ufeffa');
});

test.each<[string, () => unknown, string]>([
  ['u8 of 256', () => encode(codec.u8, 256), 'BAD_INPUT'],
  ['u8 of -1', () => encode(codec.u8, -1), 'BAD_INPUT'],
  ['u8 of 0.5', () => encode(codec.u8, 0.5), 'BAD_INPUT'],
  ['u32 of 2^32', () => encode(codec.u32, 2 ** 32), 'BAD_INPUT'],
  ['u64 of 2^64', () => encode(codec.u64, 1n << 64n), 'BAD_INPUT'],
  ['u64 of -1', () => encode(codec.u64, -1n), 'BAD_INPUT'],
  ['fixedBytes of another size', () => encode(codec.fixedBytes(3), new Uint8Array(2)), 'BAD_INPUT'],
  ['bytes over the limit', () => encode(codec.bytes(3), new Uint8Array(4)), 'TOO_LARGE'],
  ['text over the limit in bytes', () => encode(codec.text(3), 'éé'), 'TOO_LARGE'],
  ['list over the limit', () => encode(codec.list(codec.u8, 1), [1, 2]), 'TOO_LARGE'],
  ['residues over the limit', () => encode(codec.residues(1), new BigUint64Array(2)), 'TOO_LARGE'],
  ['an unknown kind', () => encode(shape, { kind: 'cube' } as unknown as Shape), 'BAD_INPUT'],
])('codec: writing %s is refused', (_, action, expected) => {
  expect(code(action)).toBe(expected);
});

test('codec: a decoded value never aliases the bytes it came from', () => {
  const message = encode(pair, { first: 1, second: Uint8Array.of(1, 2) });
  const value = decode(pair, message);
  message.fill(255);
  expect(value.second).toEqual(Uint8Array.of(1, 2));
  const words = encode(codec.residues(2), BigUint64Array.of(5n));
  const residues = decode(codec.residues(2), words);
  words.fill(255);
  expect(residues).toEqual(BigUint64Array.of(5n));
});

test('codec: residues decode from any alignment', () => {
  const shifted = codec.struct({ pad: codec.u8, words: codec.residues(3) });
  const value = { pad: 1, words: BigUint64Array.of(1n, 2n ** 64n - 1n, 3n) };
  expect(decode(shifted, encode(shifted, value))).toEqual(value);
});

test('hex: only lower-case digits of whole bytes are read', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (raw) => {
      expect(fromHex(toHex(raw))).toEqual(raw);
    }),
  );
  for (const bad of ['a', 'AB', '0g', '0x00', ' 00', '00 '])
    expect(code(() => fromHex(bad))).toBe('BAD_ENCODING');
});
