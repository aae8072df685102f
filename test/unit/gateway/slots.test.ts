import fc from 'fast-check';
import { encodeAbiParameters, type Hex, hexToBytes } from 'viem';
import { describe, expect, test } from 'vitest';
import { type AbiField, addressWord, encodeStruct, encodeTuple } from '../../../shared/gateway/abi.ts';
import { oracleCommitment } from '../../../shared/gateway/commitments.ts';
import {
  mappingSlot,
  readAccess,
  readFacts,
  readKeySlot,
  slotNumbers,
} from '../../../shared/gateway/slots.ts';
import { word } from '../../../shared/gateway/word.ts';
import storage from '../../vectors/gateway/storage.json' with { type: 'json' };
import { hex } from '../../vectors/gateway/typed-samples.ts';
import { codeThrown } from '../fhe/fixture.ts';

describe('slots', () => {
  test('slots: the numbers are those of the compiler', () => {
    const layouts: Readonly<
      Record<string, readonly { readonly name: string; readonly slot: number; readonly offset: number }[]>
    > = storage;
    for (const [contract, numbers] of Object.entries(slotNumbers)) {
      for (const [name, slot] of Object.entries(numbers)) {
        const variable = layouts[contract]?.find((candidate) => candidate.name === name);
        expect(variable, `${contract}.${name}`).toMatchObject({ slot, offset: 0 });
      }
    }
  });

  test('slots: nested mappings hash from the outside in', () => {
    const [a, b] = [word(1n), word(2n)];
    const outer = mappingSlot(7, a);
    expect(mappingSlot(7, a, b)).not.toEqual(mappingSlot(7, b, a));
    expect(hex(mappingSlot(0, word(0n)))).toBe(
      '0xad3228b676f7d3cd4284a5443f17f1962b36e491b30a40b2405849e597ba5fb5',
    );
    expect(outer).toHaveLength(32);
  });

  test('slots: packed values', () => {
    expect(readAccess(5n)).toEqual({ version: 2n, isAllowed: true });
    expect(readAccess(4n)).toEqual({ version: 2n, isAllowed: false });
    const facts = (3n << 248n) | (2n << 244n) | (7n << 240n) | 99n;
    expect(readFacts(facts)).toEqual({ bound: 99n, level: 7, kind: 2, keyNumber: 3 });
    expect(codeThrown(() => readFacts(0n))).toBe('BAD_INPUT');
    expect(readKeySlot(2n | (3n << 8n) | (5n << 16n) | (9n << 80n))).toEqual({
      state: 2,
      preset: 3,
      epoch: 5n,
      destroyedBy: 9n,
    });
  });
});

describe('abi', () => {
  const word32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
  const field = fc.oneof(
    word32.map((value): readonly [string, AbiField, unknown] => ['bytes32', value, hex(value)]),
    fc
      .array(word32, { maxLength: 4 })
      .map((value): readonly [string, AbiField, unknown] => ['bytes32[]', value, value.map(hex)]),
    fc
      .uint8Array({ maxLength: 70 })
      .map((value): readonly [string, AbiField, unknown] => ['bytes', { bytes: value }, hex(value)]),
  );

  test('abi: structs and tuples are encoded as viem does', () => {
    fc.assert(
      fc.property(fc.array(field, { minLength: 1, maxLength: 6 }), (fields) => {
        const ours = fields.map(([, value]) => value);
        const values = fields.map(([, , value]) => value);
        const types = fields.map(([type], i) => ({ type, name: `f${i}` }));
        expect(hex(encodeTuple(ours))).toBe(encodeAbiParameters(types, values));
        const struct = Object.fromEntries(values.map((value, i) => [`f${i}`, value]));
        const expected: Hex = encodeAbiParameters([{ type: 'tuple', components: types }], [struct]);
        expect(encodeStruct(ours)).toEqual(hexToBytes(expected));
      }),
      { numRuns: 200 },
    );
  });

  test('abi: what is no whole word is refused, so that bytes never move between fields', () => {
    for (const size of [0, 19, 20, 31, 33]) {
      const bytes = new Uint8Array(size);
      expect(codeThrown(() => encodeTuple([word(1n), bytes]))).toBe('BAD_INPUT');
      expect(codeThrown(() => encodeStruct([word(1n), [word(1n), bytes]]))).toBe('BAD_INPUT');
      if (size !== 20) expect(codeThrown(() => addressWord(bytes))).toBe('BAD_INPUT');
    }
    const request = { ...oracleRequest, selector: new Uint8Array(5) };
    expect(codeThrown(() => oracleCommitment(oracleRequest))).toBe('nothing thrown');
    expect(codeThrown(() => oracleCommitment(request))).toBe('BAD_INPUT');
  });
});

const oracleRequest = {
  ...{ id: 1n, chainId: 1n, oracle: new Uint8Array(20), consumer: new Uint8Array(20) },
  ...{ selector: new Uint8Array(4), gasLimit: 1, keyId: word(1n), requestedAt: 1n, reward: 0n, handles: [] },
};
