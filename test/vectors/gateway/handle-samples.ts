import { keccak_256 } from '@noble/hashes/sha3.js';
import { encodeAbiParameters } from 'viem';
import { type Derivation, handleOf, operations, provenanceOf } from '../../../shared/gateway/handle.ts';
import { batchLeaf, merkleProof, merkleRoot } from '../../../shared/gateway/merkle.ts';
import { utf8 } from '../../../shared/wire/bytes.ts';
import { hex } from './typed-samples.ts';

const some = (name: string): Uint8Array => keccak_256(utf8(name));

export const derivations: readonly Derivation[] = [
  {
    operation: operations.input,
    inputs: [],
    argument: some('envelope'),
    kind: 'scalar',
    level: 3,
    bound: 3920608n,
  },
  {
    operation: operations.add,
    inputs: [some('a'), some('b')],
    argument: new Uint8Array(32),
    kind: 'vector',
    level: 3,
    bound: 7841217n,
  },
  {
    operation: operations.mulPlain,
    inputs: [some('a')],
    argument: new Uint8Array(32).fill(7),
    kind: 'vector',
    level: 2,
    bound: (1n << 239n) - 1n,
  },
].map((d, i) => ({
  ...d,
  kind: d.kind === 'scalar' ? 'scalar' : 'vector',
  keyId: some('key'),
  chainId: [1n, 31338n, (1n << 48n) - 1n][i]!,
  compute: some('compute').subarray(0, 20),
  nonce: BigInt(i + 1),
}));

export function handleVectors(): object {
  return derivations.map((d) => ({
    encoded: encodeAbiParameters(
      [
        {
          type: 'tuple',
          components: [
            { type: 'uint8', name: 'operation' },
            { type: 'bytes32[]', name: 'inputs' },
            { type: 'bytes32', name: 'argument' },
            { type: 'bytes32', name: 'keyId' },
            { type: 'uint8', name: 'kind' },
            { type: 'uint8', name: 'level' },
            { type: 'uint256', name: 'bound' },
            { type: 'uint256', name: 'chainId' },
            { type: 'address', name: 'compute' },
            { type: 'uint256', name: 'nonce' },
          ],
        },
      ],
      [
        {
          ...d,
          inputs: d.inputs.map(hex),
          argument: hex(d.argument),
          keyId: hex(d.keyId),
          kind: d.kind === 'scalar' ? 1 : 2,
          compute: hex(d.compute),
        },
      ],
    ),
    provenance: hex(provenanceOf(d)),
    handle: hex(handleOf(d)),
  }));
}

/** Trees of every small size, with all proofs. */
export function merkleVectors(): object {
  return [1, 2, 3, 4, 5, 8, 13, 64].map((count) => {
    const structs = Array.from({ length: count }, (_, i) => some(`result ${i}`));
    const leaves = structs.map(batchLeaf);
    return {
      structs: structs.map(hex),
      root: hex(merkleRoot(leaves)),
      lastProof: merkleProof(leaves, count - 1).map(hex),
    };
  });
}
