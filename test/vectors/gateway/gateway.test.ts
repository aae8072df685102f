import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Hex, hexToBytes } from 'viem';
import { expect, test } from 'vitest';
import { storageLayouts } from '../../../infra/build/contracts.ts';
import { decodeEvidence } from '../../../shared/gateway/proof/evidence.ts';
import { ProvenChain } from '../../../shared/gateway/proof/proven-chain.ts';
import evidence from './evidence.json' with { type: 'json' };
import { evidenceVectors } from './evidence-samples.ts';
import { handleVectors, merkleVectors } from './handle-samples.ts';
import { noiseVectors } from './noise-cases.ts';
import { typedVectors } from './typed-samples.ts';

const frozen = (name: string): unknown =>
  JSON.parse(readFileSync(join(import.meta.dirname, `${name}.json`), 'utf8'));

// The same files are read by gateway/test/Vectors.t.sol, so Solidity and TypeScript agree.
test.each<[string, () => object]>([
  ['typed-data', typedVectors],
  ['noise', noiseVectors],
  ['handles', handleVectors],
  ['merkle', merkleVectors],
])('gateway vectors: %s is as frozen', (name, made) => {
  expect(made()).toEqual(frozen(name));
});

test('gateway vectors: claims, the slots they need and evidence are as frozen', () => {
  expect(evidenceVectors()).toEqual(frozen('evidence'));
});

test('gateway vectors: frozen evidence proves its words', () => {
  const { hash, codeHash, address, words, bytes } = evidence.evidence;
  const [chain] = decodeEvidence(hexToBytes(bytes as Hex));
  const proven = ProvenChain.open(chain!, { chainId: 1n, hash: hexToBytes(hash as Hex) });
  for (const [slot, value] of words) {
    const word = proven.word(
      hexToBytes(address as Hex),
      hexToBytes(codeHash as Hex),
      hexToBytes(slot as Hex),
    );
    expect(word).toBe(BigInt(value!));
  }
});

test('gateway vectors: the storage layout that enclaves prove slots by is as frozen', () => {
  expect(storageLayouts()).toEqual(frozen('storage'));
}, 600_000);
