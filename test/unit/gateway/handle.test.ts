import fc from 'fast-check';
import { concat as concatHex, type Hex, keccak256 } from 'viem';
import { describe, expect, test } from 'vitest';
import { type Derivation, handleOf, readHandle } from '../../../shared/gateway/handle.ts';
import { batchLeaf, merkleProof, merkleRoot, rootFrom } from '../../../shared/gateway/merkle.ts';
import { derivations } from '../../vectors/gateway/handle-samples.ts';
import { hex } from '../../vectors/gateway/typed-samples.ts';
import { codeThrown } from '../fhe/fixture.ts';

describe('handle', () => {
  test('handle: says its chain and kind', () => {
    for (const d of derivations) {
      expect(readHandle(handleOf(d))).toEqual({ chainId: d.chainId, kind: d.kind });
    }
  });

  test('handle: every part of the derivation changes it', () => {
    const base = derivations[1]!;
    const changes: readonly Partial<Derivation>[] = [
      { operation: 3 },
      { inputs: [...base.inputs].reverse() },
      { inputs: base.inputs.slice(1) },
      { argument: new Uint8Array(32).fill(1) },
      { keyId: new Uint8Array(32).fill(1) },
      { kind: 'scalar' },
      { level: base.level - 1 },
      { bound: base.bound + 1n },
      { chainId: base.chainId + 1n },
      { compute: new Uint8Array(20).fill(1) },
      { nonce: base.nonce + 1n },
    ];
    const names = [base, ...changes.map((change) => ({ ...base, ...change }))].map((d) =>
      hex(handleOf(d).subarray(0, 24)),
    );
    expect(new Set(names).size).toBe(names.length);
  });

  test('handle: chain ids that do not fit and bytes that are none are refused', () => {
    const base = derivations[0]!;
    for (const chainId of [0n, 1n << 48n]) {
      expect(codeThrown(() => handleOf({ ...base, chainId }))).toBe('BAD_INPUT');
    }
    const good = handleOf(base);
    const bad = [
      good.subarray(1),
      good.with(31, 2),
      good.with(30, 0),
      good.with(30, 3),
      good.map((b, i) => (i > 23 && i < 30 ? 0 : b)),
    ];
    for (const bytes of bad) expect(codeThrown(() => readHandle(bytes))).toBe('BAD_ENCODING');
  });
});

describe('batch', () => {
  /** As OpenZeppelin's MerkleProof.processProof, by viem. */
  function processed(leaf: Hex, proof: readonly Hex[]): Hex {
    return proof.reduce(
      (at, sibling) => keccak256(concatHex(at < sibling ? [at, sibling] : [sibling, at])),
      leaf,
    );
  }

  test('batch: every leaf has a proof, and no other leaf', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { minLength: 1, maxLength: 70 }),
        (structs) => {
          const leaves = structs.map(batchLeaf);
          const root = hex(merkleRoot(leaves));
          leaves.forEach((leaf, i) => {
            const proof = merkleProof(leaves, i).map(hex);
            expect(processed(hex(leaf), proof)).toBe(root);
            expect(hex(rootFrom(leaf, merkleProof(leaves, i)))).toBe(root);
            expect(processed(hex(leaf.map((byte) => byte ^ 1)), proof)).not.toBe(root);
          });
        },
      ),
      { numRuns: 50 },
    );
  });

  test('batch: an empty batch and a leaf beyond it are refused', () => {
    expect(codeThrown(() => merkleRoot([]))).toBe('BAD_INPUT');
    expect(codeThrown(() => merkleProof([new Uint8Array(32)], 1))).toBe('BAD_INPUT');
  });
});
