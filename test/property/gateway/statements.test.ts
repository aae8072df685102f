import fc from 'fast-check';
import { decodeAbiParameters, encodeAbiParameters, encodePacked, hexToBytes } from 'viem';
import { describe, expect, test } from 'vitest';
import { KmsError } from '../../../shared/errors.ts';
import type { Value } from '../../../shared/fhe/value.ts';
import { decodeResult, encodeResult, MAX_RESULT_BYTES } from '../../../shared/gateway/result-bytes.ts';
import { encodeTyped } from '../../../shared/gateway/typed-abi.ts';
import { type Field, type FieldType, typedData, typedNames } from '../../../shared/gateway/typed-data.ts';
import {
  decodeUserShare,
  encodeUserShare,
  MAX_USER_SHARE_BYTES,
} from '../../../shared/gateway/user-share.ts';
import { concat, equalBytes } from '../../../shared/wire/bytes.ts';
import { damage, damaged } from '../../fuzz/protocol/damage.ts';
import { codeThrown } from '../../unit/fhe/fixture.ts';
import { hex, sampleOf, viemValue } from '../../vectors/gateway/typed-samples.ts';

/** What enclaves hand to contracts and users, against viem. */

const DEGREE = 4;
const number = fc.bigInt(0n, (1n << 64n) - 1n);
const value: fc.Arbitrary<Value> = fc.oneof(
  number.map((one): Value => ({ kind: 'scalar', value: one })),
  fc
    .array(number, { minLength: DEGREE, maxLength: DEGREE })
    .map((all): Value => ({ kind: 'vector', values: BigUint64Array.from(all) })),
);

describe('results', () => {
  test('results: numbers of 64 bits, one after the other, as contracts read packed uint64', () => {
    fc.assert(
      fc.property(fc.array(value, { maxLength: 6 }), (values) => {
        const numbers = values.flatMap((one) => (one.kind === 'scalar' ? [one.value] : [...one.values]));
        const packed = encodePacked(
          numbers.map(() => 'uint64'),
          numbers,
        );
        const result = encodeResult(values);
        expect(hex(result)).toBe(packed);
        const kinds = values.map(({ kind }) => kind);
        expect(decodeResult(result, kinds, DEGREE)).toEqual(values);
        // As a part of something larger.
        const within = concat(Uint8Array.of(7), result, Uint8Array.of(9)).subarray(1, -1);
        expect(decodeResult(within, kinds, DEGREE)).toEqual(values);
      }),
    );
  });

  test('results: another length than the handles have is refused', () => {
    const kinds = fc.array(fc.constantFrom('scalar' as const, 'vector' as const), { maxLength: 4 });
    fc.assert(
      fc.property(kinds, fc.nat({ max: 200 }), (all, length) => {
        const whole = 8 * all.reduce((sum, kind) => sum + (kind === 'scalar' ? 1 : DEGREE), 0);
        fc.pre(length !== whole);
        expect(codeThrown(() => decodeResult(new Uint8Array(length), all, DEGREE))).toBe('BAD_ENCODING');
      }),
    );
  });

  test('results: as many bytes as the contract takes, and none more', () => {
    const numbers = MAX_RESULT_BYTES / 8;
    const vector = (length: number): Value => ({ kind: 'vector', values: new BigUint64Array(length) });
    expect(encodeResult([vector(numbers)])).toHaveLength(256 << 10);
    expect(codeThrown(() => encodeResult([vector(numbers + 1)]))).toBe('TOO_LARGE');
    expect(codeThrown(() => encodeResult([vector(numbers), { kind: 'scalar', value: 1n }]))).toBe(
      'TOO_LARGE',
    );
  });
});

describe('users’ shares', () => {
  const sealed = fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 5 });

  test('users’ shares: one encoding, and every other is refused', () => {
    fc.assert(
      fc.property(sealed, damage, (all, how) => {
        const encoded = encodeUserShare(all);
        expect(decodeUserShare(encoded)).toEqual(all);
        const other = damaged(encoded, how);
        try {
          expect(equalBytes(encodeUserShare(decodeUserShare(other)), other)).toBe(true);
        } catch (error) {
          if (!(error instanceof KmsError)) throw error;
          expect(error.code).toBe('BAD_ENCODING');
        }
      }),
    );
  });

  test('users’ shares: at most 64, of two megabytes, sixteen together', () => {
    const many = Array.from({ length: 64 }, () => new Uint8Array(1));
    expect(decodeUserShare(encodeUserShare(many))).toHaveLength(64);
    expect(codeThrown(() => encodeUserShare([...many, new Uint8Array(1)]))).toBe('TOO_LARGE');
    const large = new Uint8Array((2 << 20) + 1024);
    expect(decodeUserShare(encodeUserShare([large]))).toHaveLength(1);
    expect(codeThrown(() => encodeUserShare([new Uint8Array(large.length + 1)]))).toBe('TOO_LARGE');
    // What their encoder would not write.
    const count = (shares: number, sizeBytes: number): Uint8Array => {
      const bytes = new Uint8Array(8 + sizeBytes);
      new DataView(bytes.buffer).setUint32(0, shares, true);
      new DataView(bytes.buffer).setUint32(4, sizeBytes, true);
      return bytes;
    };
    expect(decodeUserShare(count(1, 5))).toEqual([new Uint8Array(5)]);
    expect(codeThrown(() => decodeUserShare(count(65, 0)))).toBe('BAD_ENCODING');
    expect(codeThrown(() => decodeUserShare(count(1, large.length + 1)))).toBe('BAD_ENCODING');
    expect(codeThrown(() => decodeUserShare(new Uint8Array(MAX_USER_SHARE_BYTES + 1)))).toBe('TOO_LARGE');
  });
});

describe('statements', () => {
  const bits = (type: FieldType): number => Number(type.slice(4));
  const arbitrary = (type: FieldType): fc.Arbitrary<unknown> => {
    const sized = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
    if (type === 'bool') return fc.boolean();
    if (type === 'bytes') return fc.uint8Array({ maxLength: 100 });
    if (type === 'address') return sized(20);
    if (type === 'bytes32') return sized(32);
    if (type === 'address[]') return fc.array(sized(20), { maxLength: 4 });
    if (type === 'bytes32[]') return fc.array(sized(32), { maxLength: 4 });
    const numbers = fc.bigInt(0n, (1n << BigInt(bits(type))) - 1n);
    return bits(type) <= 32 ? numbers.map(Number) : numbers;
  };
  const encode = (name: (typeof typedNames)[number], statement: object): Uint8Array =>
    encodeTyped(name, statement as never);

  test.each(typedNames)(
    'statements: %s of any fields is what abi.encode gives and abi.decode reads',
    (name) => {
      const fields: readonly Field[] = typedData[name];
      const components = fields.map((field) => ({ name: field.name, type: field.type }));
      const parameters = [{ type: 'tuple', components }];
      const statements = fc.record(Object.fromEntries(fields.map((one) => [one.name, arbitrary(one.type)])));
      fc.assert(
        fc.property(statements, (statement) => {
          const message = Object.fromEntries(
            Object.entries(statement).map(([field, one]) => [field, viemValue(one as never)]),
          );
          const encoded = encode(name, statement);
          expect(hex(encoded)).toBe(encodeAbiParameters(parameters, [message]));
          const [read] = decodeAbiParameters(parameters, encoded);
          expect(encodeAbiParameters(parameters, [read])).toBe(hex(encoded));
          expect(hexToBytes(encodeAbiParameters(parameters, [read]))).toEqual(encoded);
        }),
        { numRuns: 25 },
      );
    },
  );

  test.each(typedNames)('statements: a field of %s that does not fit its type is refused', (name) => {
    const fields: readonly Field[] = typedData[name];
    const good = sampleOf(name);
    const bad: Readonly<Record<string, readonly unknown[]>> = {
      address: [new Uint8Array(19), new Uint8Array(32), 1n, '0x00'],
      bytes32: [new Uint8Array(31), new Uint8Array(33), 1n],
      bytes: [1n, '0x'],
      bool: [1, 0n],
      'address[]': [[new Uint8Array(32)], new Uint8Array(20)],
      'bytes32[]': [[new Uint8Array(31)], new Uint8Array(32)],
    };
    for (const { name: field, type } of fields) {
      const beyond = type.startsWith('uint') ? [1n << BigInt(bits(type)), -1n, new Uint8Array(32), true] : [];
      for (const value of [undefined, ...(bad[type] ?? []), ...beyond]) {
        const statement = { ...good, [field]: value };
        expect(
          codeThrown(() => encode(name, statement)),
          `${field}: ${type}`,
        ).toBe('BAD_INPUT');
      }
    }
  });
});
