import { NO_NETWORK } from '../shared/attestation/certificate.ts';
import { ChainCache } from '../shared/attestation/chain-cache.ts';
import type { NodeTrust } from '../shared/attestation/node-evidence.ts';
import type { AttestationRoot } from '../shared/attestation/root.ts';
import {
  openChainHead as productionHead,
  ROOTS as productionRoots,
} from '../shared/attestation/roots/aws.ts';
import { openChainHead as labHead, ROOTS as labRoots } from '../shared/attestation/roots/lab.ts';
import { openChainHead as mockHead, ROOTS as mockRoots } from '../shared/attestation/roots/mock.ts';
import type { Digest } from '../shared/ids.ts';
import type { ConfigurationChain } from '../shared/network/chain.ts';
import type { OpenChainHead } from '../shared/network/chain-head.ts';
import { hasGateway } from '../shared/network/genesis.ts';
import { classOf, type NetworkClass, networkClasses } from '../shared/network/network-class.ts';

/** An enclave is of one class; a client meets networks of each, and the id says which roots count in one. */
const anchors: Readonly<
  Record<NetworkClass, { readonly roots: readonly AttestationRoot[]; readonly openHead: OpenChainHead }>
> = {
  production: { roots: productionRoots, openHead: productionHead },
  lab: { roots: labRoots, openHead: labHead },
  mock: { roots: mockRoots, openHead: mockHead },
};

/** All nodes of a host show the same certificates above their own. */
const chains = new ChainCache();

/** The block of the gateway chain that a client judges configurations by (gateway/gateway-block.ts). */
export type KnownBlock = () => number;

/**
 * What a client takes for a node of a network: images that the network's configurations allow, vouched for by the roots of
 * the network's class.
 * @param block default: the build's own head where there is no gateway; else 0, at which only the images of configuration 0 count
 */
export function trustIn(chain: ConfigurationChain, block: KnownBlock = headOf(chain)): NodeTrust {
  return {
    ...unconditionally(chain.networkId),
    looksOnly: false,
    measurements: () => chain.allowedMeasurements(block()),
  };
}

function headOf({ genesis }: ConfigurationChain): KnownBlock {
  const head = hasGateway(genesis) ? undefined : anchors[genesis.class].openHead(Date.now);
  return () => head?.block() ?? 0;
}

/**
 * For whoever looks at a node instead of relying on it: any image, as long as it is genuine and bound to the network.
 * @param networkId default: a node that has not joined a network yet, of any class: say which root vouches for it
 */
export function unconditionally(networkId: Digest = NO_NETWORK): NodeTrust {
  return {
    ...{ roots: rootsFor(networkId), networkId, nowMs: Date.now, chains },
    ...{ measurements: () => 'unchecked', looksOnly: true },
  };
}

/** None for 32 bytes that are no network's id. */
export function rootsFor(networkId: Digest): readonly AttestationRoot[] {
  if (networkId === NO_NETWORK) return networkClasses.flatMap((of) => anchors[of].roots);
  const of = classOf(networkId);
  return of === undefined ? [] : anchors[of].roots;
}
