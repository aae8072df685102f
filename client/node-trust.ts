import { openChainHead, ROOTS } from '#roots';
import { NO_NETWORK } from '../shared/attestation/certificate.ts';
import { ChainCache } from '../shared/attestation/chain-cache.ts';
import type { NodeTrust } from '../shared/attestation/node-evidence.ts';
import type { Digest } from '../shared/ids.ts';
import type { ConfigurationChain } from '../shared/network/chain.ts';

/** All nodes of a host show the same certificates above their own. */
const chains = new ChainCache();

/**
 * What this build of the client takes for a node of a network: images that the network's configurations allow, vouched for by
 * the roots of the build, which must be of the network's class.
 */
export function trustIn(chain: ConfigurationChain): NodeTrust {
  const head = openChainHead(Date.now);
  return {
    ...unconditionally(chain.networkId),
    measurements: () => chain.allowedMeasurements(head?.block() ?? 0),
  };
}

/**
 * For whoever looks at a node instead of relying on it: any image, as long as it is genuine and bound to the network.
 * @param networkId default: a node that has not joined a network yet
 */
export function unconditionally(networkId: Digest = NO_NETWORK): NodeTrust {
  return { roots: ROOTS, networkId, measurements: () => 'unchecked', nowMs: Date.now, chains };
}
