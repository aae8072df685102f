import { expect, it } from 'vitest';
import { nodePrimitives, systemRng } from '../../../enclave/primitives.ts';
import { JointDataKeys } from '../../../enclave/sealing/joint-data-keys.ts';
import { Recollections } from '../../../enclave/sealing/recollections.ts';
import { Scopes } from '../../../enclave/sealing/scopes.ts';
import { partyId } from '../../../shared/ids.ts';
import type { HalfShare } from '../../../shared/sealing/half.ts';
import { NODE_SCOPE } from '../../../shared/sealing/scope.ts';
import { MemoryCloud } from '../../simulator/memory-cloud.ts';
import { OWNER, parties } from '../../simulator/sealed-network.ts';
import { scopesOptions } from '../../simulator/sealing.ts';

const two = partyId(2);
const answer = (share: Uint8Array) => ({ state: undefined, shares: [{ scope: NODE_SCOPE, share }] });

it('recollections: the shares of an earlier answer are erased, those of the last at the end', () => {
  const recollections = new Recollections(parties.get(OWNER)!);
  const [first, second] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
  recollections.take(two, answer(first));
  expect(first).toEqual(new Uint8Array(32).fill(1));
  recollections.take(two, answer(second));
  expect(first).toEqual(new Uint8Array(32));
  expect(second).toEqual(new Uint8Array(32).fill(2));
  recollections[Symbol.dispose]();
  expect(second).toEqual(new Uint8Array(32));
});

it('scopes: shares that are erased while KMS is asked have done their work', async () => {
  const cloud = new MemoryCloud();
  const dealt: HalfShare[] = [];
  const options = scopesOptions({
    dataKeys: new JointDataKeys(cloud),
    hashes: nodePrimitives,
    rng: systemRng,
    deal: async (_scope, shares) => {
      dealt.push(...shares.map(({ party, value }) => ({ party, value: value.slice() })));
    },
  });
  const before = new Scopes(options);
  const header = await before.ensure(NODE_SCOPE);
  const after = new Scopes(options);
  cloud.dataKeys.before = () => {
    for (const { value } of dealt) value.fill(0);
  };
  await after.open(header, dealt);
  expect(after.keyOf('node')).toEqual(before.keyOf('node'));
  expect(dealt[0]!.value).toEqual(new Uint8Array(32));
});
