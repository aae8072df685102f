import { describe, expect, it } from 'vitest';
import { nodePrimitives, systemRng } from '../../../enclave/primitives.ts';
import { JointDataKeys } from '../../../enclave/sealing/joint-data-keys.ts';
import { Scopes } from '../../../enclave/sealing/scopes.ts';
import { createTierOne, openTierOne, resealTierOne } from '../../../enclave/sealing/tier-one.ts';
import { digest, epochId, keyId, partyId } from '../../../shared/ids.ts';
import type { HalfShare } from '../../../shared/sealing/half.ts';
import { scopeName } from '../../../shared/sealing/scope.ts';
import { MemoryCloud, MemoryDataKeys } from '../../simulator/memory-cloud.ts';

const networkId = digest('ab'.repeat(32));
const self = partyId(1);
const holders = [2, 3, 4].map((party) => partyId(party));
const common = { networkId, party: self, hashes: nodePrimitives, rng: systemRng };
const scope = { kind: 'key', key: keyId('cd'.repeat(32)), epoch: epochId(0) } as const;
const record = new Uint8Array(5).fill(7);

function scopesOver(
  dataKeys: JointDataKeys,
  deal: (shares: readonly HalfShare[]) => void = () => {},
): Scopes {
  return new Scopes({ ...common, dataKeys, holders, threshold: 2, deal: async (_, shares) => deal(shares) });
}

describe('resealing for the image that comes next', () => {
  it('reseal: the later image opens tier 1 under its own KMS key, the running one still does, a third does not', async () => {
    const before = new MemoryCloud();
    const after = new MemoryCloud(before.objects, new MemoryDataKeys('next'));
    const stranger = new MemoryCloud(before.objects, new MemoryDataKeys('third'));
    await (await createTierOne({ ...common, cloud: before })).put('node/x', record);
    await expect(openTierOne({ ...common, cloud: after })).rejects.toMatchObject({ code: 'KMS_REFUSED' });
    const joint = new JointDataKeys(before);
    joint.sealFor(after.dataKeys);
    await resealTierOne(before.objects, joint);
    await resealTierOne(before.objects, joint);
    expect((await before.objects.list('tier-1/headers/')).length).toBe(2);
    for (const cloud of [before, after]) {
      const tierOne = await openTierOne({ ...common, cloud });
      expect(await tierOne?.get('node/x')).toEqual(record);
    }
    await expect(openTierOne({ ...common, cloud: stranger })).rejects.toMatchObject({ code: 'KMS_REFUSED' });
  });

  it('reseal: another successor takes the place of the first one; the running image never locks itself out', async () => {
    const own = new MemoryCloud();
    const [first, second] = ['first', 'second'].map((name) => new MemoryDataKeys(name)) as [
      MemoryDataKeys,
      MemoryDataKeys,
    ];
    const joint = new JointDataKeys(own);
    const { plaintext, blobs } = await joint.generate('p');
    joint.sealFor(first);
    joint.sealFor(second);
    const resealed = await joint.reseal(await joint.reseal(blobs, 'p'), 'p');
    expect(resealed.map(({ kmsKey }) => kmsKey)).toEqual(['memory', 'second']);
    expect(await own.dataKeys.open(resealed, 'p')).toEqual(plaintext);
    expect(await second.open(resealed, 'p')).toEqual(plaintext);
    await expect(second.open(resealed, 'another purpose')).rejects.toMatchObject({ code: 'KMS_REFUSED' });
  });

  it('reseal: scopes of before and of after the change open for the later image, with the same wrapping keys', async () => {
    const own = new MemoryCloud();
    const next = new MemoryDataKeys('next');
    const joint = new JointDataKeys(own);
    let dealt: readonly HalfShare[] = [];
    const scopes = scopesOver(joint, (shares) => {
      dealt = shares.map(({ party, value }) => ({ party, value: value.slice() }));
    });
    await scopes.ensure(scope);
    joint.sealFor(next);
    const header = await scopes.reseal(scopeName(scope));
    expect(await scopes.reseal(scopeName(scope))).toBeUndefined();
    const later = scopesOver(new JointDataKeys(new MemoryCloud(own.objects, next)));
    await later.open(header!, dealt.slice(1));
    expect(later.keyOf(scopeName(scope))).toEqual(scopes.keyOf(scopeName(scope)));
    const other = { ...scope, epoch: epochId(1) };
    const fresh = await scopes.ensure(other);
    expect(fresh.blobs.map(({ kmsKey }) => kmsKey)).toEqual(['memory', 'next']);
  });

  it('reseal: a successor whose key cannot be used leaves everything as it was', async () => {
    const own = new MemoryCloud();
    const joint = new JointDataKeys(own);
    const tierOne = await createTierOne({ ...common, cloud: own });
    await tierOne.put('node/x', record);
    joint.sealFor({ kmsKey: 'broken', wrap: () => Promise.reject(new Error('refused')) });
    await expect(resealTierOne(own.objects, joint)).rejects.toThrow('refused');
    expect(await own.objects.list('tier-1/headers/')).toEqual(['tier-1/headers/0001']);
    expect(await (await openTierOne({ ...common, cloud: own }))?.get('node/x')).toEqual(record);
  });
});
