import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { agreed } from '../../../enclave/chains/agreement.ts';
import { blockName, quantity, readBlock, readQuantity } from '../../../enclave/chains/block.ts';
import { rpcCall, rpcResult } from '../../../enclave/chains/json-rpc.ts';
import { KmsError } from '../../../shared/errors.ts';
import { utf8 } from '../../../shared/wire/bytes.ts';

const code = (of: string) => expect.objectContaining({ code: of });
const json = (value: unknown): Uint8Array => utf8(JSON.stringify(value));
const block = {
  number: '0x1b4',
  hash: `0x${'ab'.repeat(32)}`,
  parentHash: `0x${'cd'.repeat(32)}`,
  timestamp: '0x6553f100',
  transactions: ['0x00'],
};

describe('json-rpc: answers from anybody', () => {
  it('json-rpc: a call and its result', () => {
    expect(JSON.parse(new TextDecoder().decode(rpcCall(7, 'eth_chainId', [])))).toEqual({
      ...{ jsonrpc: '2.0', id: 7, method: 'eth_chainId', params: [] },
    });
    expect(rpcResult(7, json({ jsonrpc: '2.0', id: 7, result: '0x1' }))).toBe('0x1');
    expect(rpcResult(7, json({ jsonrpc: '2.0', id: 7, result: null }))).toBeNull();
  });

  it.each([
    ['no JSON', utf8('{')],
    ['no UTF-8', Uint8Array.of(0x22, 0xff, 0x22)],
    ['a text', json('0x1')],
    ['null', json(null)],
    ['a list', json([{ jsonrpc: '2.0', id: 7, result: '0x1' }])],
    ['another id', json({ jsonrpc: '2.0', id: 8, result: '0x1' })],
    ['an id of another type', json({ jsonrpc: '2.0', id: '7', result: '0x1' })],
    ['no version', json({ id: 7, result: '0x1' })],
    ['no result', json({ jsonrpc: '2.0', id: 7 })],
  ])('json-rpc: %s is refused', (_, answer) => {
    expect(() => rpcResult(7, answer)).toThrow(code('BAD_ENCODING'));
  });

  it('json-rpc: an error is no result, whatever stands beside it', () => {
    const error = { code: -32000, message: 'no' };
    expect(() => rpcResult(7, json({ jsonrpc: '2.0', id: 7, error, result: '0x1' }))).toThrow(
      code('UNAVAILABLE'),
    );
  });

  it('json-rpc: random bytes never give a result', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(() => rpcResult(7, bytes)).toThrow(KmsError);
      }),
    );
  });

  it('json-rpc: a block is its number, hash, parent and time', () => {
    expect(readBlock(block)).toEqual({
      ...{ number: 436n, hash: 'ab'.repeat(32), parentHash: 'cd'.repeat(32), timestampS: 1_700_000_000n },
    });
    expect(readBlock(null)).toBeUndefined();
  });

  it.each([
    ['no object', '0x1'],
    ['nothing', undefined],
    ['a pending one', { ...block, number: null }],
    ['one with a number as number', { ...block, number: 436 }],
    ['one with leading zeros', { ...block, number: '0x01b4' }],
    ['one in upper case', { ...block, number: '0x1B4' }],
    ['one above 2^53 - 1', { ...block, number: '0x20000000000000' }],
    ['one without digits', { ...block, number: '0x' }],
    ['one with a short hash', { ...block, hash: '0xab' }],
    ['one without a hash', { ...block, hash: null }],
    ['one with a parent in upper case', { ...block, parentHash: `0x${'CD'.repeat(32)}` }],
    ['one without a time', { ...block, timestamp: undefined }],
  ])('json-rpc: a block that is %s is refused', (_, value) => {
    expect(() => readBlock(value)).toThrow(code('BAD_ENCODING'));
  });

  it('json-rpc: quantities have one form', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: BigInt(Number.MAX_SAFE_INTEGER) }), (value) => {
        expect(readQuantity(quantity(value))).toBe(value);
      }),
    );
  });

  it('json-rpc: blocks that differ in a field have different names', () => {
    const one = readBlock(block)!;
    const others = [
      { ...one, number: 1n },
      { ...one, timestampS: 1n },
      { ...one, hash: one.parentHash },
      { ...one, parentHash: one.hash },
    ];
    expect(new Set([one, ...others].map(blockName)).size).toBe(5);
  });
});

describe('agreement', () => {
  const name = String;
  const never = new Promise<number>(() => {});
  const failed = (): Promise<number> => Promise.reject(new Error('no'));

  it('agreement: the first value of k, without waiting for the others', async () => {
    expect(await agreed(2, [Promise.resolve(1), never, Promise.resolve(1)], name)).toBe(1);
    expect(
      await agreed(2, [Promise.resolve(2), Promise.resolve(1), failed(), Promise.resolve(1)], name),
    ).toBe(1);
  });

  it('agreement: none as soon as k cannot be reached any more', async () => {
    expect(await agreed(2, [Promise.resolve(1), failed(), Promise.resolve(2)], name)).toBeUndefined();
    expect(await agreed(3, [failed(), never, never], name)).toBeUndefined();
    expect(await agreed(2, [Promise.resolve(1)], name)).toBeUndefined();
    expect(await agreed(2, [Promise.resolve(undefined), Promise.resolve(undefined)], name)).toBeUndefined();
    expect(await agreed(1, [], name)).toBeUndefined();
  });
});
