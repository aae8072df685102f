import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { IDENTITY, sealedSigner } from '../../enclave/identity.ts';
import { PeerMemory } from '../../enclave/membership/peer-memory.ts';
import { nodePrimitives, systemRng } from '../../enclave/primitives.ts';
import type { Cloud, DataKeys } from '../../enclave/sealing/cloud.ts';
import { JointDataKeys } from '../../enclave/sealing/joint-data-keys.ts';
import { scopeHeaderCodec } from '../../enclave/sealing/scope-header.ts';
import { goodShares, Scopes } from '../../enclave/sealing/scopes.ts';
import { StateStore } from '../../enclave/sealing/state-store.ts';
import { openTierOne } from '../../enclave/sealing/tier-one.ts';
import type { StateVersion, VersionedStore } from '../../enclave/store/versioned-store.ts';
import { codeOf, KmsError } from '../../shared/errors.ts';
import { type PartyId, partyId } from '../../shared/ids.ts';
import type { ConfigurationChain } from '../../shared/network/chain.ts';
import { committeeOf } from '../../shared/network/configuration.ts';
import { peersOf, type Roll } from '../../shared/protocol/machine.ts';
import { digestOf } from '../../shared/protocol/statement.ts';
import type { HalfShare } from '../../shared/sealing/half.ts';
import { parseKeyArn } from '../../shared/sealing/key-arn.ts';
import { NODE_SCOPE, scopeName } from '../../shared/sealing/scope.ts';
import { decode } from '../../shared/wire/codec.ts';
import { readNetwork } from './founding.ts';
import { decryptUnder } from './kms/ciphertext.ts';
import type { LocalNetwork } from './network.ts';
import { StolenBucket } from './stolen-bucket.ts';

/** What opened, to whom nothing should. */
export interface CloudOwnerLoot {
  /** Tier 1 of the victim and of every colluder. */
  readonly tierOne: boolean;
  /** The state of the victim: its identity. */
  readonly tierTwo: boolean;
}

/** A node's account in the hands of its owner: the bucket with all versions, and KMS without attestation. */
interface Account {
  readonly roll: Roll;
  readonly bucket: StolenBucket;
  readonly dataKeys: DataKeys;
}

/**
 * Plays the owner of one node's cloud account together with the operators and account owners of others: each opens its KMS key as if its
 * policy were permissive, and has every version of its bucket. No enclave takes part. DEVELOPMENT ONLY: the stand-in keeps
 * its keys in the clear.
 * @param victim whose state they are after; @param colluders other parties
 */
export async function cloudOwnerAttack(
  network: LocalNetwork,
  victim: number,
  colluders: readonly number[],
): Promise<CloudOwnerLoot> {
  const chain = await readNetwork(network.directory);
  const own = await accountOf(network, chain, victim);
  const tierOne = await firstTier(own);
  const others = await Promise.all(colluders.map((party) => accountOf(network, chain, party)));
  const opened = await Promise.all(others.map(firstTier));
  const shares = (await Promise.all(others.map((one) => sharesIn(one, own.roll.self)))).flat();
  return {
    tierOne: [tierOne, ...opened].every((store) => store !== undefined),
    tierTwo: tierOne !== undefined && (await opensState(chain, own, tierOne, shares)),
  };
}

async function accountOf(network: LocalNetwork, chain: ConfigurationChain, party: number): Promise<Account> {
  const { digest: configuration, signed } = chain.epochStart;
  const { epoch, members } = signed.configuration;
  const committee = committeeOf(signed.configuration);
  const self = partyId(party, committee.n);
  const { networkId } = chain;
  return {
    roll: {
      ...{ networkId, configuration, epoch, self, committee, primitives: nodePrimitives },
      identities: new Map(members.map((one) => [one.party, one.identity])),
    },
    bucket: await StolenBucket.read(await network.bucketDirectory(party), `${networkId}/${party}/`),
    dataKeys: keysOf(network, { networkId, party: `${party}` }),
  };
}

/** The key's own bytes: nothing asks for an attestation document. */
function keysOf(network: LocalNetwork, place: Readonly<Record<string, string>>): DataKeys {
  return {
    generate: nothingNew,
    wrap: nothingNew,

    async open(blobs, purpose) {
      const [{ kmsKey, blob } = { kmsKey: '', blob: new Uint8Array(0) }] = blobs;
      const { keyId } = parseKeyArn(kmsKey);
      const file = join(network.cloud.keysDirectory, `DEVELOPMENT-ONLY-${keyId}.json`);
      const { material }: { readonly material: string } = JSON.parse(await readFile(file, 'utf8'));
      const context = new Map(Object.entries({ ...place, purpose }));
      return Uint8Array.from(decryptUnder(Buffer.from(material, 'base64'), blob, context));
    },
  };
}

function firstTier({ roll, bucket, dataKeys }: Account): Promise<VersionedStore | undefined> {
  const cloud: Cloud = { kmsKey: STOLEN, objects: bucket, dataKeys };
  const { networkId, self: party } = roll;
  return ifShut(openTierOne({ cloud, networkId, party, hashes: nodePrimitives, rng: systemRng }));
}

/** What one colluder ever kept of the victim's scope `node`, in any version of its tier 1. */
async function sharesIn(account: Account, victim: PartyId): Promise<readonly HalfShare[]> {
  const { roll, bucket } = account;
  const found = new Map<string, HalfShare>();
  const manifests = await bucket.list(MANIFESTS);
  for (const newest of manifests) {
    const earlier = bucket.without((key) => key.startsWith(MANIFESTS) && key > newest);
    const tierOne = await firstTier({ ...account, bucket: earlier });
    if (tierOne === undefined) continue;
    const { shares } = await (await PeerMemory.open(roll, tierOne)).recall(victim);
    for (const { scope, share } of shares) {
      if (scopeName(scope) !== scopeName(NODE_SCOPE)) continue;
      found.set(Buffer.from(share).toString('hex'), { party: roll.self, value: share });
    }
  }
  return [...found.values()];
}

/** With however few shares there are: what stops them is not a count in this program. */
async function opensState(
  chain: ConfigurationChain,
  { roll, bucket, dataKeys }: Account,
  tierOne: VersionedStore,
  shares: readonly HalfShare[],
): Promise<boolean> {
  const header = await tierOne.get('tier-2/node');
  const newest = await newestState(bucket);
  if (header === undefined || newest === undefined) throw new KmsError('INTERNAL', 'the bucket is empty');
  const dealt = decode(scopeHeaderCodec, header);
  const good = goodShares(nodePrimitives, dealt, shares);
  using scopes = scopesOf(roll, dataKeys, good.length);
  const { networkId, self: party, epoch } = roll;
  const parts = { objects: bucket, networkId, party, epoch, rng: systemRng, scopes };
  const read = async (): Promise<boolean> => {
    if (good.length === 0) return false;
    await scopes.open(dealt, good);
    const state = await StateStore.open(parts, newest);
    const { identity } = memberOf(chain, party);
    const signer = await sealedSigner(state, IDENTITY, identity);
    return Buffer.from(signer.publicKey).equals(identity);
  };
  return (await ifShut(read())) ?? false;
}

function scopesOf(roll: Roll, dataKeys: DataKeys, threshold: number): Scopes {
  return new Scopes({
    ...{ networkId: roll.networkId, party: roll.self, holders: peersOf(roll), threshold },
    ...{ hashes: nodePrimitives, rng: systemRng },
    dataKeys: new JointDataKeys({ kmsKey: STOLEN, dataKeys }),
    deal: nothingNew,
  });
}

async function nothingNew(): Promise<never> {
  throw new KmsError('INTERNAL', 'nothing new is sealed here');
}

/** Whichever key a blob names. */
const STOLEN = 'stolen';
const MANIFESTS = 'tier-1/manifests/';
const STATE_MANIFESTS = 'tier-2/manifests/';

async function newestState(bucket: StolenBucket): Promise<StateVersion | undefined> {
  const key = (await bucket.list(STATE_MANIFESTS)).at(-1);
  const sealed = key === undefined ? undefined : await bucket.get(key);
  if (key === undefined || sealed === undefined) return undefined;
  return { version: Number(key.slice(STATE_MANIFESTS.length)), digest: digestOf(nodePrimitives, sealed) };
}

function memberOf({ newest }: ConfigurationChain, party: PartyId) {
  const found = newest.signed.configuration.members[party - 1];
  if (found === undefined) throw new KmsError('BAD_INPUT', `there is no party ${party}`);
  return found;
}

/** Undefined for what does not open; anything else that goes wrong is a mistake of this program. */
async function ifShut<T>(opening: Promise<T>): Promise<T | undefined> {
  try {
    return await opening;
  } catch (error) {
    if (codeOf(error) === 'STORE_FAILED') return undefined;
    throw error;
  }
}
