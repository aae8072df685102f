import { keccak_256 } from '@noble/hashes/sha3.js';
import { describe, expect, test } from 'vitest';
import { assembleEvidence } from '../../../shared/gateway/proof/assemble.ts';
import {
  type ChainEvidence,
  decodeEvidence,
  encodeEvidence,
  MAX_EVIDENCE_BYTES,
  MAX_NODES,
  MAX_SLOTS,
} from '../../../shared/gateway/proof/evidence.ts';
import { MAX_NODE_BYTES } from '../../../shared/gateway/proof/node.ts';
import { ProvenChain } from '../../../shared/gateway/proof/proven-chain.ts';
import { word } from '../../../shared/gateway/word.ts';
import { toHex, utf8 } from '../../../shared/wire/bytes.ts';
import { blockOf } from '../../oracle/chain-state.ts';
import { codeThrown } from '../fhe/fixture.ts';

const digest = (name: string): Uint8Array => keccak_256(utf8(name));
const addressOf = (name: string): Uint8Array => digest(name).subarray(12);
const [a, b, stranger] = [addressOf('a'), addressOf('b'), addressOf('stranger')];
const CODE = digest('code');
const slots = [0, 1, 2, 3].map((i) => word(BigInt(i)));

const storage = new Map([0n, 5n, 1n << 255n].map((value, i) => [toHex(slots[i]!), value] as const));
const others = Array.from({ length: 40 }, (_, i) => ({
  address: addressOf(`other ${i}`),
  codeHash: CODE,
  storage: new Map<string, bigint>(),
}));
const accounts = [
  { address: a, codeHash: CODE, storage },
  { address: b, codeHash: CODE, storage: new Map() },
  ...others,
];
const block = blockOf(9n, 1000n, accounts);
const chainId = 31337n;
const trusted = { chainId, hash: block.hash };
const evidence = assembleEvidence(chainId, block.header, [
  block.prove(a, slots),
  block.prove(b, [slots[0]!]),
]);
const opened = (changed: Partial<ChainEvidence>): string =>
  codeThrown(() => ProvenChain.open({ ...evidence, ...changed }, trusted));

describe('proven chain', () => {
  test('proven chain: words are those of the state, absent ones are zero', () => {
    const [decoded] = decodeEvidence(encodeEvidence([evidence]));
    const chain = ProvenChain.open(decoded!, trusted);
    expect(slots.map((slot) => chain.word(a, CODE, slot))).toEqual([0n, 5n, 1n << 255n, 0n]);
    expect(chain.word(b, CODE, slots[0]!)).toBe(0n);
    expect(chain.codeHash(a)).toEqual(CODE);
    expect(chain.header).toMatchObject({ number: 9n, timestamp: 1000n });
    expect(chain.chainId).toBe(chainId);
  });

  test('proven chain: what the evidence does not hold is not proven', () => {
    const chain = ProvenChain.open(evidence, trusted);
    expect(codeThrown(() => chain.word(a, digest('other code'), slots[1]!))).toBe('NOT_PROVEN');
    expect(codeThrown(() => chain.word(a, CODE, word(7n)))).toBe('NOT_PROVEN');
    expect(codeThrown(() => chain.word(b, CODE, slots[1]!))).toBe('NOT_PROVEN');
    expect(codeThrown(() => chain.word(stranger, CODE, slots[1]!))).toBe('NOT_PROVEN');
    expect(codeThrown(() => chain.codeHash(stranger))).toBe('NOT_PROVEN');
  });

  test('proven chain: another block, another chain, another state are refused', () => {
    expect(opened({})).toBe('nothing thrown');
    expect(opened({ chainId: 31338n })).toBe('NOT_PROVEN');
    // The same state at another time.
    expect(opened({ header: blockOf(9n, 2000n, accounts).header })).toBe('NOT_PROVEN');
    const later = blockOf(10n, 1001n, []);
    expect(opened({ header: later.header })).toBe('NOT_PROVEN');
    expect(
      codeThrown(() =>
        ProvenChain.open({ ...evidence, header: later.header }, { chainId, hash: later.hash }),
      ),
    ).toBe('NOT_PROVEN');
    expect(codeThrown(() => ProvenChain.open(evidence, { chainId: 31338n, hash: block.hash }))).toBe(
      'NOT_PROVEN',
    );
  });

  test('proven chain: an account that does not exist proves nothing', () => {
    const absent = assembleEvidence(chainId, block.header, [block.prove(stranger, [])]);
    expect(codeThrown(() => ProvenChain.open(absent, trusted))).toBe('NOT_PROVEN');
  });

  test('proven chain: nodes are as many as are needed, in the order in which they are', () => {
    const { nodes } = evidence;
    expect(nodes.length).toBeGreaterThan(4);
    expect(opened({ nodes: nodes.slice(1) })).toBe('NOT_PROVEN');
    expect(opened({ nodes: nodes.slice(0, -1) })).toBe('NOT_PROVEN');
    expect(opened({ nodes: [...nodes, nodes[0]!] })).toBe('NOT_PROVEN');
    expect(opened({ nodes: nodes.toReversed() })).toBe('NOT_PROVEN');
    expect(opened({ accounts: evidence.accounts.slice(1) })).toBe('NOT_PROVEN');
  });

  test('proven chain: proofs in any order and number make the same evidence', () => {
    const parts = [
      block.prove(b, [slots[0]!]),
      ...slots.toReversed().map((slot) => block.prove(a, [slot, slot])),
    ];
    expect(assembleEvidence(chainId, block.header, parts)).toEqual(evidence);
    expect(
      codeThrown(() => assembleEvidence(chainId, block.header, [{ ...block.prove(a, slots), nodes: [] }])),
    ).toBe('NOT_PROVEN');
  });

  test('evidence: its size and order are checked', () => {
    const { accounts } = evidence;
    const disordered = (changed: Partial<ChainEvidence>): string =>
      codeThrown(() => encodeEvidence([{ ...evidence, ...changed }]));
    expect(disordered({ accounts: accounts.toReversed() })).toBe('BAD_INPUT');
    expect(disordered({ accounts: [accounts[0]!, accounts[0]!] })).toBe('BAD_INPUT');
    expect(disordered({ accounts: accounts.map((one) => ({ ...one, slots: slots.toReversed() })) })).toBe(
      'BAD_INPUT',
    );
    expect(codeThrown(() => encodeEvidence([evidence, evidence]))).toBe('BAD_INPUT');
    expect(codeThrown(() => decodeEvidence(new Uint8Array(MAX_EVIDENCE_BYTES + 1)))).toBe('TOO_LARGE');
    const full = Array.from({ length: MAX_NODES }, () => new Uint8Array(MAX_NODE_BYTES));
    const chains = [1n, 2n, 3n].map((id) => ({ ...evidence, chainId: id, nodes: full }));
    expect(codeThrown(() => encodeEvidence(chains))).toBe('TOO_LARGE');
    const many = Array.from({ length: MAX_SLOTS }, (_, i) => word(BigInt(i)));
    expect(opened({ accounts: accounts.map((one) => ({ ...one, slots: many })) })).toBe('TOO_LARGE');
  });

  test('evidence: bytes in another order are refused', () => {
    const encoded = encodeEvidence([evidence]);
    const at = toHex(encoded).indexOf(toHex(slots[1]!)) / 2;
    const swapped = encoded.slice();
    swapped.set(slots[2]!, at);
    swapped.set(slots[1]!, at + 32);
    expect(codeThrown(() => decodeEvidence(swapped))).toBe('BAD_ENCODING');
  });
});
