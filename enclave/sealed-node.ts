import { codeOf, KmsError } from '../shared/errors.ts';
import type { PartyId } from '../shared/ids.ts';
import type { ConfigurationChain } from '../shared/network/chain.ts';
import { badConfiguration, committeeOf, type Member, memberOf } from '../shared/network/configuration.ts';
import { hasGateway } from '../shared/network/genesis.ts';
import type { Signer } from '../shared/primitives.ts';
import type { Roll } from '../shared/protocol/machine.ts';
import type { Anchor } from '../shared/sealing/anchor.ts';
import { equalBytes } from '../shared/wire/bytes.ts';
import type { JoinedNetwork, JoinRequest } from './api.ts';
import { ChainAnchor } from './chains/chain-anchor.ts';
import { NetworkChains } from './chains/network-chains.ts';
import type { Configurations } from './configurations.ts';
import { BOOT_KEY, sealedSigner } from './identity.ts';
import { tell } from './membership/standing.ts';
import type { NodeNetwork } from './net/node-network.ts';
import { Roster } from './net/roster.ts';
import type { PeerTrust } from './net/tls.ts';
import type { Newborn } from './newborn.ts';
import type { NodeParts } from './node-parts.ts';
import type { Cloud } from './sealing/cloud.ts';
import { NodeSeal } from './sealing/node-seal.ts';
import { createTierOne, openTierOne, type TierOneOptions } from './sealing/tier-one.ts';
import type { VersionedStore } from './store/versioned-store.ts';

export interface SealedNodePorts {
  readonly parts: NodeParts;
  readonly network: NodeNetwork;
  readonly configurations: Configurations;
  /** Number of this boot once n-1-t peers acknowledged it. */
  readonly incarnation: () => number | undefined;
  readonly onChange: () => void;
  /** Another process writes this node's state. */
  readonly onLost: (error: KmsError) => void;
}

/** What a node has of the gateway of its network. */
export interface OnChain {
  readonly chains: NetworkChains;
  readonly anchor: Anchor;
}

/** A node from the moment that its tier 1 is open: which member it is, and what it seals with. */
export interface SealedNode {
  readonly entry: Member;
  readonly chain: ConfigurationChain;
  readonly roll: Roll;
  readonly peers: PeerTrust;
  readonly seal: NodeSeal;
  /** Undefined in a network without a gateway. */
  readonly onChain: OnChain | undefined;
}

/**
 * Which member a process is: the one whose new identity a configuration names, or a later life of the party it is told.
 * @throws {KmsError} BAD_CONFIGURATION
 */
export function placeIn(
  chain: ConfigurationChain,
  newborn: Newborn,
  party: PartyId | undefined,
): { readonly entry: Member; readonly isNew: boolean } {
  const { configuration } = chain.newest.signed;
  const own = memberOf(configuration, newborn.identity.publicKey);
  if (own !== undefined && !equalBytes(own.bootKey, newborn.bootKey.publicKey)) {
    throw badConfiguration('the configuration names another boot key for this node');
  }
  const entry = own ?? (party === undefined ? undefined : configuration.members[party - 1]);
  if (entry === undefined) {
    throw badConfiguration(
      'the configuration does not name this node; say which party it is if it starts again',
    );
  }
  return { entry, isNew: own !== undefined };
}

/** Tier 1 of a new member. @throws {KmsError} CONFLICT if the bucket holds a state; KMS_*, STORE_FAILED, UNAVAILABLE */
export async function foundSealedNode(
  ports: SealedNodePorts,
  preview: ConfigurationChain,
  entry: Member,
  newborn: Newborn,
  request: JoinRequest,
): Promise<SealedNode> {
  const cloud = await openCloud(ports.parts, preview, entry);
  const tierOne = await createTierOne(tierOneOf(ports, cloud, preview, entry));
  await newborn.useBootSeed((seed) => tierOne.put(BOOT_KEY, seed));
  return sealedNode(ports, preview, entry, { cloud, tierOne }, request);
}

/** Tier 1 of a member that starts again, and the key that speaks for it until it has unsealed. @throws {KmsError} as above */
export async function reopenSealedNode(
  ports: SealedNodePorts,
  preview: ConfigurationChain,
  entry: Member,
  request: JoinRequest,
): Promise<{ readonly node: SealedNode; readonly bootKey: Signer }> {
  const cloud = await openCloud(ports.parts, preview, entry);
  const tierOne = await openTierOne(tierOneOf(ports, cloud, preview, entry));
  if (tierOne === undefined) {
    throw new KmsError('STORE_FAILED', `nothing of party ${entry.party} of this network is in its bucket`);
  }
  const bootKey = await sealedSigner(tierOne, BOOT_KEY, entry.bootKey);
  return { node: await sealedNode(ports, preview, entry, { cloud, tierOne }, request), bootKey };
}

/** While a later image is on its way in, what this one seals opens for both. Repeating it changes nothing. @throws {KmsError} as NodeSeal.sealFor() */
export async function sealForSuccessor(
  { entry: { party }, seal }: SealedNode,
  { openSuccessor, log }: Pick<NodeParts, 'openSuccessor' | 'log'>,
  { networkId, newest }: ConfigurationChain,
): Promise<void> {
  const { members, measurements, number } = newest.signed.configuration;
  const storage = members[party - 1]?.storage;
  if (storage === undefined || storage.kmsKey === seal.kmsKey) return;
  await seal.sealFor(await openSuccessor({ storage, networkId, party }, measurements));
  log('info', 'sealed-for-successor', { count: number });
}

/** What a member says of its network. */
export function joinedNetwork({ networkId: id, newest }: ConfigurationChain, party: PartyId): JoinedNetwork {
  const { number, epoch } = newest.signed.configuration;
  return { id, party, epoch, configuration: { number, digest: newest.digest } };
}

interface OpenTierOne {
  readonly cloud: Cloud;
  readonly tierOne: VersionedStore;
}

async function sealedNode(
  ports: SealedNodePorts,
  preview: ConfigurationChain,
  entry: Member,
  { cloud, tierOne }: OpenTierOne,
  request: JoinRequest,
): Promise<SealedNode> {
  const { parts, configurations, onChange: onBlock } = ports;
  // What the bucket and the caller know together; never less than the bucket does.
  await configurations.attach(tierOne);
  const chains = await NetworkChains.open({
    ...{ parts, store: tierOne, genesis: preview.genesis, onBlock },
    configurations: () => configurations.chain ?? preview,
  });
  try {
    if (chains !== undefined) configurations.follow(chains.gateway);
    const sealed = await openSeal(ports, entry, { cloud, tierOne }, request);
    return { ...sealed, onChain: chains && onChainOf(chains, sealed) };
  } catch (error) {
    chains?.close();
    throw error;
  }
}

function onChainOf(
  chains: NetworkChains,
  { entry: { identity }, roll: { epoch } }: Omit<SealedNode, 'onChain'>,
): OnChain {
  return { chains, anchor: new ChainAnchor({ registry: chains.registry, identity, epoch }) };
}

async function openSeal(
  { parts, network, configurations, incarnation, onChange, onLost }: SealedNodePorts,
  entry: Member,
  { cloud, tierOne }: OpenTierOne,
  { genesis, configurations: given }: JoinRequest,
): Promise<Omit<SealedNode, 'onChain'>> {
  const chain = await configurations.join(genesis, given);
  const { rng, log, nowMs, roundMs: dealMs } = parts;
  const roll = rollOf(parts, chain, entry.party);
  const seal = await NodeSeal.open({
    ...{ roll, cloud, tierOne, rng, log, nowMs, dealMs, tell, incarnation, onChange, onLost },
    isAnchored: hasGateway(chain.genesis),
    lines: () => {
      const { peers } = network;
      return peers?.lines().filter((line) => peers.isAdmitted(line)) ?? [];
    },
  });
  const roster = new Roster(chain.networkId, entry.identity, () => configurations.valid());
  const trust = network.trustIn(chain.networkId, () => configurations.measurements());
  return { entry, chain, roll, peers: { roster, trust }, seal };
}

/** The storage that the newest configuration names, or while two are valid that of the one before: for the image before. */
async function openCloud(parts: NodeParts, chain: ConfigurationChain, { party }: Member): Promise<Cloud> {
  const { networkId } = chain;
  let failure: unknown;
  for (const { signed } of chain.links.slice(-2).toReversed()) {
    const entry = signed.configuration.members[party - 1];
    if (entry === undefined) continue;
    try {
      return await parts.openCloud({ storage: entry.storage, networkId, party });
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure;
}

function tierOneOf(
  { parts: { primitives: hashes, rng, log }, onLost }: SealedNodePorts,
  cloud: Cloud,
  { networkId }: ConfigurationChain,
  { party }: Member,
): TierOneOptions {
  const onTrouble = (error: unknown): void => log('warn', 'storage-trouble', { code: codeOf(error) });
  return { cloud, networkId, party, hashes, rng, onTrouble, onLost };
}

function rollOf({ primitives }: NodeParts, chain: ConfigurationChain, self: PartyId): Roll {
  const { digest: configuration, signed } = chain.epochStart;
  const { epoch, members } = signed.configuration;
  return {
    ...{ networkId: chain.networkId, configuration, epoch, self, primitives },
    committee: committeeOf(signed.configuration),
    identities: new Map(members.map(({ party, identity }) => [party, identity])),
  };
}
