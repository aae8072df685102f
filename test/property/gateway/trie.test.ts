import fc from 'fast-check';
import { type Hex, hexToBytes } from 'viem';
import { describe, expect, test } from 'vitest';
import { EMPTY_ROOT, lookUp, NodeList } from '../../../shared/gateway/proof/trie.ts';
import { toHex } from '../../../shared/wire/bytes.ts';
import { buildTrie, wordValue } from '../../oracle/trie.ts';
import { codeThrown } from '../../unit/fhe/fixture.ts';

/** Keys of 32 bytes that differ late or early: short paths at the end make nodes that stand within their parents. */
const key = fc
  .record({
    head: fc.constantFrom(0x00, 0x01, 0x10, 0xff),
    middle: fc.constantFrom(0, 7),
    tail: fc.uint8Array({ minLength: 2, maxLength: 2 }),
  })
  .map(({ head, middle, tail }) => Uint8Array.of(head, ...new Array<number>(29).fill(middle), ...tail));
const value = fc.oneof(fc.bigInt(1n, 200n), fc.bigInt(1n, (1n << 256n) - 1n));
const entries = fc
  .array(fc.tuple(key, value), { maxLength: 40 })
  .map((all) => [...new Map(all.map(([k, v]) => [toHex(k), [k, v] as const])).values()]);

const bytes = (proof: readonly Hex[]): readonly Uint8Array[] => proof.map((node) => hexToBytes(node));

describe('trie', () => {
  test('trie: what another builder put in is found, and what it did not is proven absent', () => {
    fc.assert(
      fc.property(entries, fc.array(key, { maxLength: 10 }), (all, others) => {
        const trie = buildTrie(all.map(([k, v]) => [k, wordValue(v)] as const));
        const known = new Map(all.map(([k, v]) => [toHex(k), wordValue(v)]));
        for (const k of [...all.map(([k]) => k), ...others]) {
          const nodes = new NodeList(bytes(trie.proof(k)));
          const found = lookUp(nodes, hexToBytes(trie.root), k);
          nodes.end();
          expect(found && `0x${toHex(found)}`).toBe(known.get(toHex(k)));
        }
      }),
      { numRuns: 300 },
    );
  });

  test('trie: a proof without one of its nodes, with one more, or in another order proves nothing', () => {
    fc.assert(
      fc.property(entries, key, fc.nat(), (all, extra, at) => {
        fc.pre(all.length > 1);
        const trie = buildTrie(all.map(([k, v]) => [k, wordValue(v)] as const));
        const [k] = all[at % all.length]!;
        const nodes = bytes(trie.proof(k));
        const i = at % nodes.length;
        const read = (given: readonly Uint8Array[]): void => {
          const list = new NodeList(given);
          lookUp(list, hexToBytes(trie.root), k);
          list.end();
        };
        expect(codeThrown(() => read(nodes.toSpliced(i, 1)))).toBe('NOT_PROVEN');
        expect(codeThrown(() => read([...nodes, extra]))).toBe('NOT_PROVEN');
        expect(codeThrown(() => read([...nodes, nodes[i]!]))).toBe('NOT_PROVEN');
        if (nodes.length > 1) expect(codeThrown(() => read(nodes.toReversed()))).toBe('NOT_PROVEN');
      }),
      { numRuns: 200 },
    );
  });

  test('trie: an empty one needs no node', () => {
    const list = new NodeList([]);
    expect(hexToBytes(buildTrie([]).root)).toEqual(EMPTY_ROOT);
    expect(lookUp(list, EMPTY_ROOT, new Uint8Array(32))).toBeUndefined();
  });
});
