import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { storageLayouts } from '../../../infra/build/contracts.ts';
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

test('gateway vectors: the storage layout that enclaves prove slots by is as frozen', () => {
  expect(storageLayouts()).toEqual(frozen('storage'));
}, 600_000);
