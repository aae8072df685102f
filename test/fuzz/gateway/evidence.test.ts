import { keccak_256 } from '@noble/hashes/sha3.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KmsError } from '../../../shared/errors.ts';
import { assembleEvidence } from '../../../shared/gateway/proof/assemble.ts';
import {
  type ChainEvidence,
  decodeEvidence,
  encodeEvidence,
} from '../../../shared/gateway/proof/evidence.ts';
import { readHeader } from '../../../shared/gateway/proof/header.ts';
import { readNode } from '../../../shared/gateway/proof/node.ts';
import { ProvenChain } from '../../../shared/gateway/proof/proven-chain.ts';
import { decodeRlp, encodeRlp } from '../../../shared/gateway/proof/rlp.ts';
import { word } from '../../../shared/gateway/word.ts';
import { equalBytes, toHex, utf8 } from '../../../shared/wire/bytes.ts';
import { blockOf } from '../../oracle/chain-state.ts';
import { damage, damaged } from '../protocol/damage.ts';

const numRuns = Number(process.env.FUZZ_RUNS ?? 150);
const CODE = keccak_256(utf8('code'));
const address = (i: number): Uint8Array => keccak_256(utf8(`account ${i}`)).subarray(12);
const slots = Array.from({ length: 12 }, (_, i) => word(BigInt(i)));
const values = new Map(slots.map((slot, i) => [toHex(slot), BigInt(i % 3) << BigInt(20 * i)] as const));
const block = blockOf(
  77n,
  1000n,
  Array.from({ length: 30 }, (_, i) => ({ address: address(i), codeHash: CODE, storage: values })),
);
const chainId = 1n;
const evidence = assembleEvidence(
  chainId,
  block.header,
  [1, 2].map((i) => block.prove(address(i), slots)),
);
const valid = encodeEvidence([evidence]);

const refused = ['BAD_ENCODING', 'NOT_PROVEN', 'TOO_LARGE'];

/** Refused with a code, or its words are the state's. */
function expectTrue(chains: () => readonly ChainEvidence[]): void {
  try {
    for (const one of chains()) {
      const chain = ProvenChain.open(one, { chainId, hash: block.hash });
      for (const account of one.accounts) {
        for (const slot of account.slots) {
          expect(chain.word(account.address, CODE, slot)).toBe(values.get(toHex(slot)) ?? 0n);
        }
      }
    }
  } catch (error) {
    if (!(error instanceof KmsError)) throw error;
    expect(refused).toContain(error.code);
  }
}

describe('evidence from anybody', () => {
  it('evidence: damaged bytes never prove anything but the state, and have one form', () => {
    fc.assert(
      fc.property(damage, (how) => {
        const bytes = damaged(valid, how);
        expectTrue(() => {
          const chains = decodeEvidence(bytes);
          expect(equalBytes(encodeEvidence(chains), bytes)).toBe(true);
          return chains;
        });
      }),
      { numRuns },
    );
  });

  it('evidence: damaged nodes, and slots and accounts moved about, prove nothing but the state', () => {
    const place = fc.nat();
    fc.assert(
      fc.property(place, damage, place, place, (at, how, from, to) => {
        const nodes = [...evidence.nodes];
        nodes[at % nodes.length] = damaged(nodes[at % nodes.length]!, how);
        expectTrue(() => [{ ...evidence, nodes }]);
        const moved = evidence.nodes.toSpliced(from % nodes.length, 1);
        moved.splice(to % nodes.length, 0, evidence.nodes[from % nodes.length]!);
        expectTrue(() => [{ ...evidence, nodes: moved }]);
        const accounts = evidence.accounts.map((one, i) =>
          i === at % 2 ? { address: address(at % 40), slots: [slots[from % 12]!, word(BigInt(to))] } : one,
        );
        expectTrue(() => [{ ...evidence, accounts }]);
      }),
      { numRuns },
    );
  });

  it('evidence: every part of it is needed', () => {
    for (const i of evidence.nodes.keys()) {
      const without = { ...evidence, nodes: evidence.nodes.toSpliced(i, 1) };
      expect(() => ProvenChain.open(without, { chainId, hash: block.hash })).toThrow(KmsError);
    }
  });
});

const readers: readonly (readonly [string, Uint8Array, (bytes: Uint8Array) => Uint8Array | undefined])[] = [
  ['rlp', evidence.nodes[0]!, (bytes) => encodeRlp(decodeRlp(bytes, 4))],
  ['header', block.header, (bytes) => void readHeader(bytes)],
  ['node', evidence.nodes.at(-1)!, (bytes) => void readNode(bytes)],
];

describe.each(readers)('%s from anybody', (name, good, recode) => {
  it(`${name}: refused with a code, or in its one form`, () => {
    const given = fc.oneof(
      damage.map((how) => damaged(good, how)),
      fc.uint8Array({ maxLength: 80 }),
    );
    fc.assert(
      fc.property(given, (bytes) => {
        try {
          const again = recode(bytes);
          if (again !== undefined) expect(equalBytes(again, bytes)).toBe(true);
        } catch (error) {
          if (!(error instanceof KmsError)) throw error;
          expect(refused).toContain(error.code);
        }
      }),
      { numRuns: 4 * numRuns },
    );
  });
});
