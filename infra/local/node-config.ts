import { join } from 'node:path';
import type { NetworkState, NodeState } from './state.ts';

/** What a node's enclave reads. */
export function enclaveConfig(node: NodeState, network: NetworkState): object {
  const { socketDirectory, image } = node;
  if (image !== undefined) return { image, ...vhostSocketOf(node) };
  const { roundMs, openingMs } = network;
  return { socketDirectory, roundMs, openingMs };
}

export interface ParentSurroundings {
  readonly genesisFile: string;
  readonly configurationsFile: string;
  readonly credentialsFile: string;
  /** Where the stand-ins for AWS are found. */
  readonly hosts: Readonly<Record<string, string>>;
  /** Of a network with a gateway. */
  readonly connector?: object;
}

/** What a node's parent reads. */
export function parentConfig(node: NodeState, surroundings: ParentSurroundings): object {
  const { address, socketDirectory, image, status, party } = node;
  const link = image === undefined ? { socketDirectory } : vhostSocketOf(node);
  return { ...link, listen: address, status, party, ...surroundings };
}

function vhostSocketOf({ socketDirectory }: NodeState): { readonly vhostSocket: string } {
  return { vhostSocket: join(socketDirectory, 'vm.vsock') };
}
