import fc from 'fast-check';
import { hexToBytes, toHex, toRlp } from 'viem';
import { describe, expect, test } from 'vitest';
import {
  decodeRlp,
  encodeRlp,
  integerBytes,
  integerOf,
  listOf,
  type RlpItem,
  stringOf,
} from '../../../shared/gateway/proof/rlp.ts';
import { utf8 } from '../../../shared/wire/bytes.ts';
import { codeThrown } from '../fhe/fixture.ts';

const hex = (text: string): Uint8Array => hexToBytes(`0x${text}`);
type Mutable = Uint8Array | Mutable[];
const { item } = fc.letrec<{ item: Mutable }>((tie) => ({
  item: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.uint8Array({ maxLength: 80 }),
    fc.array(tie('item'), { maxLength: 6 }),
  ),
}));

describe('rlp', () => {
  // The examples of the Ethereum wiki and of the yellow paper, appendix B.
  test.each<[string, RlpItem]>([
    ['83646f67', utf8('dog')],
    ['c88363617483646f67', [utf8('cat'), utf8('dog')]],
    ['80', new Uint8Array(0)],
    ['c0', []],
    ['00', Uint8Array.of(0)],
    ['0f', Uint8Array.of(15)],
    ['820400', Uint8Array.of(4, 0)],
    ['c7c0c1c0c3c0c1c0', [[], [[]], [[], [[]]]]],
    [
      'b8384c6f72656d20697073756d20646f6c6f722073697420616d65742c20636f6e7365637465747572206164697069736963696e6720656c6974',
      utf8('Lorem ipsum dolor sit amet, consectetur adipisicing elit'),
    ],
  ])('rlp: %s', (encoded, value) => {
    expect(toHex(encodeRlp(value))).toBe(`0x${encoded}`);
    expect(decodeRlp(hex(encoded), 4)).toEqual(value);
  });

  test('rlp: encodes as viem does, and reads it back', () => {
    fc.assert(
      fc.property(item, (value) => {
        const encoded = encodeRlp(value);
        expect(encoded).toEqual(toRlp(value, 'bytes'));
        expect(decodeRlp(encoded, 8)).toEqual(value);
      }),
      { numRuns: 300 },
    );
  });

  test.each([
    ['nothing', ''],
    ['bytes after the item', '0000'],
    ['a small byte with a prefix', '8100'],
    ['a small byte with a prefix in a list', 'c2817f'],
    ['a string cut off', '83646f'],
    ['a list cut off', 'c883636174'],
    ['an item that leaves its list', 'c283646f67'],
    ['an item that its list cuts off', 'c383646f'],
    ['a list that its list cuts off', 'c3c3c0c0'],
    ['a length cut off', 'b9'],
    ['a length cut off in its middle', 'b9ff'],
    ['a length that its list cuts off', `c1b838${'ff'.repeat(56)}`],
    ['a length of five bytes that means it', `bc0100000000${'ff'}`],
    ['a short length in long form', `b801${'ff'}`],
    ['a length of 55 in long form', `b837${'ff'.repeat(55)}`],
    ['a list of 55 in long form', `f837${'80'.repeat(55)}`],
    ['a length with leading zeros', `b90038${'ff'.repeat(56)}`],
    ['a length of five bytes', `bc0000000001${'ff'}`],
    ['a length of eight bytes', `bfffffffffffffffff${'ff'}`],
    ['lists too deep', 'c5c4c3c2c1c0'],
  ])('rlp: %s is refused', (_, encoded) => {
    expect(codeThrown(() => decodeRlp(hex(encoded), 4))).toBe('BAD_ENCODING');
  });

  test('rlp: a string is no list, and a list no string', () => {
    expect(listOf([])).toEqual([]);
    expect(codeThrown(() => listOf(new Uint8Array(2)))).toBe('BAD_ENCODING');
    expect(codeThrown(() => stringOf([]))).toBe('BAD_ENCODING');
    expect(codeThrown(() => stringOf(new Uint8Array(2), 3))).toBe('BAD_ENCODING');
  });

  test('rlp: integers have no leading zeros', () => {
    expect(integerOf(new Uint8Array(0), 1)).toBe(0n);
    expect(integerOf(hex('0100'), 2)).toBe(256n);
    expect(integerBytes(0n)).toEqual(new Uint8Array(0));
    expect(integerBytes(65536n)).toEqual(hex('010000'));
    for (const bad of [hex('00'), hex('0001'), hex('010000')]) {
      expect(codeThrown(() => integerOf(bad, 2))).toBe('BAD_ENCODING');
    }
    expect(codeThrown(() => integerOf([], 2))).toBe('BAD_ENCODING');
    expect(codeThrown(() => integerOf(undefined, 2))).toBe('BAD_ENCODING');
  });
});
