import { type Hex, hexToBytes, keccak256, toRlp } from 'viem';
import { describe, expect, test } from 'vitest';
import { MAX_HEADER_BYTES, readHeader } from '../../../shared/gateway/proof/header.ts';
import { headerFromRpc, proofFromRpc } from '../../../shared/gateway/proof/rpc.ts';
import { headerOf } from '../../oracle/chain-state.ts';
import { hex } from '../../vectors/gateway/typed-samples.ts';
import { codeThrown } from '../fhe/fixture.ts';

const zeros = (size: number): Hex => `0x${'00'.repeat(size)}`;
const EMPTY_TRIE = '0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421';

/** Ethereum's block 0. */
const genesis = {
  parentHash: zeros(32),
  sha3Uncles: '0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347',
  miner: zeros(20),
  stateRoot: '0xd7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544',
  transactionsRoot: EMPTY_TRIE,
  receiptsRoot: EMPTY_TRIE,
  logsBloom: zeros(256),
  difficulty: '0x400000000',
  number: '0x0',
  gasLimit: '0x1388',
  gasUsed: '0x0',
  timestamp: '0x0',
  extraData: '0x11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa',
  mixHash: zeros(32),
  nonce: '0x0000000000000042',
};

type Fields = (Hex | Hex[])[];
const root = keccak256('0x05');
const modern: Fields = [
  ...[zeros(32), zeros(32), zeros(20), root, zeros(32), zeros(32), zeros(256)],
  ...(['0x', '0x07', '0x01c9c380', '0x', '0x65'] as const),
  ...['0x' as const, zeros(32), zeros(8), '0x07' as const, zeros(32), '0x' as const, '0x' as const],
  ...[zeros(32), zeros(32)],
];
const read = (fields: Fields): string => codeThrown(() => readHeader(hexToBytes(toRlp(fields))));
const withField = (index: number, value: Hex | Hex[]): Fields => modern.with(index, value);

describe('block header', () => {
  test("block header: Ethereum's first one has its hash", () => {
    const header = readHeader(headerFromRpc(genesis));
    expect(hex(header.hash)).toBe('0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3');
    expect(hex(header.stateRoot)).toBe(genesis.stateRoot);
    expect(header).toMatchObject({ number: 0n, timestamp: 0n });
  });

  test('block header: number, time, state and parent are read', () => {
    const header = readHeader(hexToBytes(headerOf(root, 1234567n, 1700000000n)));
    expect(header).toMatchObject({ number: 1234567n, timestamp: 1700000000n });
    expect(hex(header.stateRoot)).toBe(root);
    expect(hex(header.parentHash)).toBe(keccak256('0x01'));
  });

  test.each([15, 16, 17, 20, 21])('block header: one of %i fields is of a known fork', (count) => {
    expect(read(modern.slice(0, count))).toBe('nothing thrown');
  });

  test.each([0, 1, 14, 18, 19])('block header: one of %i fields is not', (count) => {
    expect(read(modern.slice(0, count))).toBe('BAD_ENCODING');
  });

  test('block header: one of 22 fields is not', () => {
    expect(read([...modern, zeros(32)])).toBe('BAD_ENCODING');
  });

  const sized = [0, 1, 2, 3, 4, 5, 6, 13, 14, 16, 19, 20];
  test.each(sized)('block header: field %i has its size', (index) => {
    const size = ((modern[index] as Hex).length - 2) / 2;
    expect(read(withField(index, zeros(size - 1)))).toBe('BAD_ENCODING');
    expect(read(withField(index, zeros(size + 1)))).toBe('BAD_ENCODING');
    expect(read(withField(index, []))).toBe('BAD_ENCODING');
  });

  test.each([7, 8, 9, 10, 11, 15, 17, 18])('block header: field %i is an integer', (index) => {
    expect(read(withField(index, '0x0001'))).toBe('BAD_ENCODING');
    expect(read(withField(index, `0x${'01'.repeat(33)}`))).toBe('BAD_ENCODING');
    expect(read(withField(index, []))).toBe('BAD_ENCODING');
  });

  test.each([8, 9, 10, 11, 17, 18])('block header: field %i has 64 bits', (index) => {
    expect(read(withField(index, `0x${'01'.repeat(9)}`))).toBe('BAD_ENCODING');
  });

  test('block header: extra data and the whole are limited', () => {
    expect(read(withField(12, zeros(2048)))).toBe('nothing thrown');
    expect(read(withField(12, zeros(2049)))).toBe('BAD_ENCODING');
    expect(read(withField(12, []))).toBe('BAD_ENCODING');
    expect(codeThrown(() => readHeader(new Uint8Array(MAX_HEADER_BYTES + 1)))).toBe('TOO_LARGE');
  });
});

describe('answers of endpoints', () => {
  test.each<[string, unknown]>([
    ['no object', null],
    ['a list', []],
    ['a string', 'block'],
    ['a quantity in a list', { ...genesis, number: ['0x0'] }],
    ['a quantity with leading zeros', { ...genesis, number: '0x00' }],
    ['a quantity that is a number', { ...genesis, number: 0 }],
    ['odd hex', { ...genesis, extraData: '0x1' }],
    ['no hex', { ...genesis, extraData: '0xzz' }],
    ['no prefix', { ...genesis, extraData: '11' }],
    ['a field missing', { ...genesis, nonce: undefined }],
    ['a later field without those before', { ...genesis, requestsHash: zeros(32) }],
  ])('answers of endpoints: a block with %s is refused', (_, block) => {
    expect(codeThrown(() => headerFromRpc(block))).toBe('BAD_ENCODING');
  });

  test('answers of endpoints: keys as quantities and as words are slots', () => {
    const one = { key: '0x1', value: '0x0', proof: ['0xAB'] };
    const two = { key: `0x${'00'.repeat(31)}02`, value: '0x0', proof: [] };
    const proof = proofFromRpc({ address: zeros(20), accountProof: ['0xcd'], storageProof: [one, two] });
    expect(proof.slots.map(hex)).toEqual([`0x${'00'.repeat(31)}01`, two.key]);
    expect(proof.nodes.map(hex)).toEqual(['0xcd', '0xab']);
    expect(codeThrown(() => proofFromRpc({ address: zeros(20), accountProof: 5 }))).toBe('BAD_ENCODING');
  });
});
