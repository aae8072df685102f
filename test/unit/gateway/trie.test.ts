import { type Hex, hexToBytes, keccak256, toRlp } from 'viem';
import { describe, expect, test } from 'vitest';
import { readAccount, readSlot } from '../../../shared/gateway/proof/account.ts';
import { MAX_NODE_BYTES, readNode } from '../../../shared/gateway/proof/node.ts';
import { lookUp, NodeList } from '../../../shared/gateway/proof/trie.ts';
import { accountValue, buildTrie, hexPrefix, wordValue } from '../../oracle/trie.ts';
import { codeThrown } from '../fhe/fixture.ts';

type Item = Hex | Item[];

const KEY = new Uint8Array(32);
const HASH: Hex = `0x${'ab'.repeat(32)}`;
const zeros = (count: number): readonly number[] => new Array<number>(count).fill(0);
const branch = (children: Readonly<Record<number, Item>>, value: Hex = '0x'): Item => [
  ...Array.from({ length: 16 }, (_, i) => children[i] ?? '0x'),
  value,
];
const leaf = (length: number, value: Hex = '0x05'): Item => [hexPrefix(zeros(length), true), value];
/** 22 bytes. */
const small = branch({ 0: leaf(1), 1: leaf(1) });
const rlp = (item: Item): Hex => toRlp(item);
const read = (item: Item): string => codeThrown(() => readNode(hexToBytes(rlp(item))));

/** The code of looking a key of zeros up below a root made of these nodes. */
function look(...nodes: readonly Hex[]): string {
  const list = new NodeList(nodes.map((node) => hexToBytes(node)));
  return codeThrown(() => lookUp(list, hexToBytes(keccak256(nodes[0]!)), KEY));
}

describe('trie node', () => {
  test('trie node: well-formed ones are read', () => {
    expect(read(branch({ 0: HASH, 15: leaf(2) }))).toBe('nothing thrown');
    expect(read(leaf(63))).toBe('nothing thrown');
    expect(read([hexPrefix([1], false), HASH])).toBe('nothing thrown');
  });

  test.each<[string, Item]>([
    ['a string', '0x05'],
    ['no items', []],
    ['three items', ['0x20', '0x05', '0x05']],
    ['sixteen items', (branch({ 0: HASH, 1: HASH }) as Item[]).slice(1)],
    ['a branch with a value', branch({ 0: HASH, 1: HASH }, '0x05')],
    ['a branch with a list as its value', [...(branch({ 0: HASH, 1: HASH }) as Item[]).slice(0, 16), []]],
    ['a branch with one child', branch({ 3: HASH })],
    ['a branch without children', branch({})],
    ['a reference of 31 bytes', branch({ 0: HASH, 1: `0x${'ab'.repeat(31)}` })],
    ['a reference of 33 bytes', branch({ 0: HASH, 1: `0x${'ab'.repeat(33)}` })],
    ['an embedded node of 32 bytes', branch({ 0: HASH, 1: leaf(2, `0x${'ab'.repeat(27)}`) })],
    ['an embedded node that is none', branch({ 0: HASH, 1: ['0x20'] })],
    ['an extension without a path', [hexPrefix([], false), HASH]],
    ['an extension to nothing', [hexPrefix([1], false), '0x']],
    ['a leaf without a value', leaf(3, '0x')],
    ['a leaf with a list', ['0x20', []]],
    ['a path without a prefix', ['0x', '0x05']],
    ['a path that is a list', [[], '0x05']],
    ['a prefix with an unknown flag', ['0x4011', HASH]],
    ['a prefix with an unknown odd flag', ['0x51', HASH]],
    ['a prefix with the highest flag', ['0xa0', '0x05']],
    ['an even leaf path with padding', ['0x21', '0x05']],
    ['an even extension path with padding', ['0x0111', HASH]],
  ])('trie node: %s is refused', (_, item) => {
    expect(read(item)).toBe('BAD_ENCODING');
  });

  test('trie node: an embedded leaf of 31 bytes is read', () => {
    expect(read(branch({ 0: HASH, 1: leaf(2, `0x${'ab'.repeat(26)}`) }))).toBe('nothing thrown');
  });

  test('trie node: too large a one is refused', () => {
    expect(codeThrown(() => readNode(new Uint8Array(MAX_NODE_BYTES + 1)))).toBe('TOO_LARGE');
  });
});

describe('trie walk', () => {
  test('trie walk: a lone leaf is a trie', () => {
    expect(look(rlp(leaf(64)))).toBe('nothing thrown');
    expect(look(rlp([hexPrefix(zeros(62), false), small]))).toBe('nothing thrown');
  });

  test.each<[string, readonly Hex[]]>([
    ['a leaf whose path is too short', [rlp(leaf(63))]],
    ['a leaf whose path is too long', [rlp(leaf(65))]],
    ['an extension as long as the key', [rlp([hexPrefix(zeros(64), false), HASH])]],
    ['an extension longer than the key', [rlp([hexPrefix([...zeros(64), 1], false), HASH])]],
    ['an extension to a leaf', [rlp([hexPrefix(zeros(4), false), keccak256(rlp(leaf(60)))]), rlp(leaf(60))]],
    ['an extension to an embedded leaf', [rlp([hexPrefix(zeros(40), false), leaf(24)])]],
    ['a small node behind a hash', [rlp([hexPrefix(zeros(62), false), keccak256(rlp(small))]), rlp(small)]],
    [
      'a branch below the end of the key',
      [
        rlp([
          hexPrefix(zeros(63), false),
          keccak256(rlp(branch({ 0: keccak256(rlp(branch({ 0: HASH, 1: HASH }))), 1: HASH }))),
        ]),
        rlp(branch({ 0: keccak256(rlp(branch({ 0: HASH, 1: HASH }))), 1: HASH })),
        rlp(branch({ 0: HASH, 1: HASH })),
      ],
    ],
  ])('trie walk: %s is refused', (_, nodes) => {
    expect(look(...nodes)).toBe('BAD_ENCODING');
  });
});

describe('trie values', () => {
  const accountOf = (value: Hex): string => {
    const { root, proof } = buildTrie([[hexToBytes(keccak256(KEY.subarray(0, 20))), value]]);
    const nodes = new NodeList(proof(KEY).map((node) => hexToBytes(node)));
    return codeThrown(() => readAccount(nodes, hexToBytes(root), KEY.subarray(0, 20)));
  };
  const wordOf = (value: Hex): string => {
    const { root, proof } = buildTrie([[hexToBytes(keccak256(KEY)), value]]);
    const nodes = new NodeList(proof(KEY).map((node) => hexToBytes(node)));
    return codeThrown(() => readSlot(nodes, hexToBytes(root), KEY));
  };

  test('trie values: accounts', () => {
    const good = { nonce: 1n, balance: 0n, storageRoot: HASH, codeHash: HASH };
    expect(accountOf(accountValue(good))).toBe('nothing thrown');
    expect(accountOf(accountValue({ ...good, nonce: 1n << 64n }))).toBe('BAD_ENCODING');
    expect(accountOf(accountValue({ ...good, balance: 1n << 256n }))).toBe('BAD_ENCODING');
    expect(accountOf(accountValue({ ...good, codeHash: '0xab' }))).toBe('BAD_ENCODING');
    expect(accountOf(accountValue({ ...good, storageRoot: '0xab' }))).toBe('BAD_ENCODING');
    expect(accountOf(toRlp(['0x01', '0x', HASH]))).toBe('BAD_ENCODING');
    expect(accountOf(toRlp(['0x01', '0x', HASH, HASH, '0x']))).toBe('BAD_ENCODING');
    expect(accountOf(toRlp(['0x00', '0x', HASH, HASH]))).toBe('BAD_ENCODING');
    expect(accountOf(toRlp([['0x01'], '0x', HASH, HASH]))).toBe('BAD_ENCODING');
    expect(accountOf('0x05')).toBe('BAD_ENCODING');
  });

  test('trie values: words', () => {
    expect(wordOf(wordValue((1n << 256n) - 1n))).toBe('nothing thrown');
    expect(wordOf(wordValue(0n))).toBe('nothing thrown');
    for (const bad of ['0x00', toRlp('0x0001'), toRlp(`0x${'01'.repeat(33)}`), '0xc0', '0x0101'] as const) {
      expect(wordOf(bad)).toBe('BAD_ENCODING');
    }
  });
});
