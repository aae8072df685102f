import { describe, expect, it } from 'vitest';
import { nodePrimitives, systemRng } from '../../../enclave/primitives.ts';
import { JointDataKeys } from '../../../enclave/sealing/joint-data-keys.ts';
import { scopeHeaderCodec } from '../../../enclave/sealing/scope-header.ts';
import { Scopes } from '../../../enclave/sealing/scopes.ts';
import { StateStore } from '../../../enclave/sealing/state-store.ts';
import { openTierOne } from '../../../enclave/sealing/tier-one.ts';
import type { StateVersion } from '../../../enclave/store/versioned-store.ts';
import type { PartyId } from '../../../shared/ids.ts';
import type { HalfShare } from '../../../shared/sealing/half.ts';
import { scopeName } from '../../../shared/sealing/scope.ts';
import { decode } from '../../../shared/wire/codec.ts';
import type { MemoryCloud } from '../../simulator/memory-cloud.ts';
import { HOLDERS, OWNER, type OwnerProcess, parties, SealedNetwork } from '../../simulator/sealed-network.ts';

const KEY = 'ab'.repeat(32);
const OTHER = 'cd'.repeat(32);
const SEEDS = `keys/${KEY}/seeds`;
const secret = systemRng(2_000);
const { networkId, epoch } = parties.get(OWNER)!;

/** What a thief has: the bucket as it once was, KMS that opens whatever he shows it, and what these holders give him. */
interface Loot {
  readonly cloud: MemoryCloud;
  readonly state: StateVersion;
  readonly shares: (
    party: PartyId,
  ) => Promise<readonly { readonly scope: string; readonly value: Uint8Array }[]>;
}

async function founded(): Promise<{ readonly network: SealedNetwork; readonly owner: OwnerProcess }> {
  const network = await SealedNetwork.create();
  const owner = await network.found(new Map([['node/identity', systemRng(32)]]));
  await owner.state.put(SEEDS, secret);
  await owner.state.put(`keys/${OTHER}/seeds`, systemRng(2_000));
  await network.settled();
  return { network, owner };
}

function lootOf(network: SealedNetwork, { state }: OwnerProcess): Loot {
  const shares: Loot['shares'] = async (party) =>
    (await network.recall(party)).shares.map(({ scope, share }) => ({
      scope: scopeName(scope),
      value: share,
    }));
  return { cloud: network.clouds.get(OWNER)!.copy(), state: state.state, shares };
}

/** Opens everything that opens, without a rule in the way. @returns the record, if it comes to that */
async function steal(
  { cloud, state, shares }: Loot,
  from: readonly PartyId[],
): Promise<Uint8Array | undefined> {
  const place = { networkId, party: OWNER, hashes: nodePrimitives, rng: systemRng };
  const tierOne = await openTierOne({ cloud, ...place });
  using scopes = new Scopes({
    ...{ ...place, holders: HOLDERS, threshold: 2, dataKeys: new JointDataKeys(cloud) },
    deal: () => Promise.reject(new Error('nothing new is dealt')),
  });
  const given = new Map<string, HalfShare[]>();
  for (const party of from) {
    for (const { scope, value } of await shares(party)) {
      given.set(scope, [...(given.get(scope) ?? []), { party, value }]);
    }
  }
  await scopes.open(decode(scopeHeaderCodec, (await tierOne!.get('tier-2/node'))!), given.get('node') ?? []);
  const objects = cloud.objects;
  const old = await StateStore.open(
    { objects, networkId, party: OWNER, epoch, rng: systemRng, scopes },
    state,
  );
  for (const header of await old.headers()) {
    await scopes.open(header, given.get(scopeName(header.scope)) ?? []).catch(() => undefined);
  }
  return await old.get(SEEDS).catch(() => undefined);
}

describe('crypto-erasure', () => {
  it('erasure: an old bucket opens while the others hold their shares, and is useless once they have erased them', async () => {
    const { network, owner } = await founded();
    const loot = lootOf(network, owner);
    expect(await steal(loot, HOLDERS)).toEqual(secret);
    await owner.state.delete(SEEDS);
    await network.settled();
    expect(await owner.state.erasing()).toEqual([]);
    expect(await steal(loot, HOLDERS)).toBeUndefined();
    expect(await owner.state.get(`keys/${OTHER}/seeds`)).toHaveLength(2_000);
  });

  it('erasure: one holder that only says that it has erased its share gives nobody the record', async () => {
    const { network, owner } = await founded();
    const liar = HOLDERS[0]!;
    const kept = await lootOf(network, owner).shares(liar);
    const honest = lootOf(network, owner);
    await owner.state.delete(SEEDS);
    await network.settled();
    const shares: Loot['shares'] = async (party) => (party === liar ? kept : honest.shares(party));
    expect(await steal({ ...honest, shares }, HOLDERS)).toBeUndefined();
  });

  it('erasure: as long as somebody has not said so the node goes on asking, over restarts', async () => {
    const { network, owner } = await founded();
    const away = HOLDERS[2]!;
    network.down.add(away);
    await owner.state.delete(SEEDS);
    await network.settled();
    expect((await owner.state.erasing()).map(scopeName)).toEqual([`key/${KEY}/${epoch}`]);
    owner.seal.close();
    const again = await network.restart();
    expect((await again.state.erasing()).length).toBe(1);
    network.connect(again, away);
    await network.settled();
    expect(await again.state.erasing()).toEqual([]);
    const left = (await network.recall(away)).shares.map(({ scope }) => scopeName(scope));
    expect(left.sort()).toEqual([`key/${OTHER}/${epoch}`, 'node']);
  });
});
