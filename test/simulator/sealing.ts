import { nodePrimitives, systemRng } from '../../enclave/primitives.ts';
import { JointDataKeys } from '../../enclave/sealing/joint-data-keys.ts';
import type { ScopesOptions } from '../../enclave/sealing/scopes.ts';
import { digest, partyId } from '../../shared/ids.ts';
import { MemoryCloud } from './memory-cloud.ts';

/** Scopes of party 1 of 4 whose halves everybody has at once. */
export function scopesOptions(change: Partial<ScopesOptions>): ScopesOptions {
  return {
    networkId: digest('11'.repeat(32)),
    party: partyId(1),
    holders: [2, 3, 4].map((i) => partyId(i)),
    threshold: 2,
    hashes: nodePrimitives,
    rng: systemRng,
    dataKeys: new JointDataKeys(new MemoryCloud()),
    deal: async () => {},
    ...change,
  };
}
