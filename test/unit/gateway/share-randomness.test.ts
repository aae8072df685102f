import { expect, test } from 'vitest';
import { shareRandomness } from '../../../enclave/gateway/share-randomness.ts';
import { newResultSigner, RESULT_SIGNER, ResultSigner } from '../../../enclave/membership/result-signer.ts';
import { nodePrimitives, systemRng } from '../../../enclave/primitives.ts';
import { digest } from '../../../shared/ids.ts';
import { MemoryStore } from '../../simulator/memory-store.ts';

const sealed = new Uint8Array(32).fill(5);
const networkId = digest('ab'.repeat(32));

test('randomness of a share: the same in every life, another for anything else, and drawn once', async () => {
  const store = new MemoryStore();
  await store.put(RESULT_SIGNER, newResultSigner(systemRng));
  const of = { networkId, hashes: nodePrimitives, signer: await ResultSigner.open(store) };
  const later = { ...of, signer: await ResultSigner.open(store) };
  const rng = shareRandomness(of, sealed);
  const drawn = rng(64);
  expect(shareRandomness(later, sealed)(64)).toEqual(drawn);
  expect(shareRandomness(of, new Uint8Array(32).fill(6))(64)).not.toEqual(drawn);
  expect(shareRandomness({ ...of, networkId: digest('cd'.repeat(32)) }, sealed)(64)).not.toEqual(drawn);
  // A second draw would be the same bytes.
  expect(() => rng(64)).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
});
