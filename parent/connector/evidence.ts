import { bytesOf, hexOf } from '../../gateway/adapter/chain-data.ts';
import { codeOf, KmsError } from '../../shared/errors.ts';
import { type Claim, evidenceFor } from '../../shared/gateway/policy/claim.ts';
import type { NeededSlots } from '../../shared/gateway/policy/needed-slots.ts';
import { assembleEvidence } from '../../shared/gateway/proof/assemble.ts';
import type { ChainEvidence } from '../../shared/gateway/proof/evidence.ts';
import { headerFromRpc, proofFromRpc } from '../../shared/gateway/proof/rpc.ts';
import { type ConnectorNetwork, type FollowedChain, followed } from './network.ts';

/** By chain id, the block at which its state is proven. */
export type Blocks = ReadonlyMap<bigint, bigint>;

/** The slots that the enclave will read. @throws {KmsError} as evidenceFor() */
export function neededSlots({ gateway }: ConnectorNetwork, claim: Claim): readonly NeededSlots[] {
  return evidenceFor({ chainId: gateway.chain.chainId, registry: bytesOf(gateway.registry.address) }, claim);
}

/** The newest block that counts of each chain. @throws {KmsError} UNAVAILABLE, BAD_INPUT for a chain that is not configured */
export async function newestBlocks(
  network: ConnectorNetwork,
  needed: readonly NeededSlots[],
  signal: AbortSignal,
): Promise<Blocks> {
  const ids = [...new Set(needed.map(({ chainId }) => chainId))];
  const numbers = ids.map((id) => newestThatCounts(chainOf(network, id), signal));
  return new Map((await Promise.all(numbers)).map((number, i) => [ids[i]!, number]));
}

/**
 * Proofs of the slots, each chain's at its block.
 * @throws {KmsError} UNAVAILABLE, also for proofs that do not fit together, as while a chain changes; what Chain throws
 */
export async function prove(
  network: ConnectorNetwork,
  needed: readonly NeededSlots[],
  blocks: Blocks,
  signal: AbortSignal,
): Promise<readonly ChainEvidence[]> {
  const inOrder = [...blocks].sort(([a], [b]) => (a < b ? -1 : 1));
  return Promise.all(
    inOrder.map(async ([chainId, number]) => {
      const { chain } = chainOf(network, chainId);
      const ofChain = needed.filter((one) => one.chainId === chainId);
      const [block, ...proofs] = await Promise.all([
        chain.rawBlock(number, signal),
        ...ofChain.map(({ address, slots }) => chain.proof(hexOf(address), slots.map(hexOf), number, signal)),
      ]);
      return assembled(chainId, block, proofs);
    }),
  );
}

/** What does not verify here would not verify in the enclave either. */
function assembled(chainId: bigint, block: unknown, proofs: readonly unknown[]): ChainEvidence {
  try {
    return assembleEvidence(chainId, headerFromRpc(block), proofs.map(proofFromRpc));
  } catch (cause) {
    if (codeOf(cause) !== 'NOT_PROVEN') throw cause;
    throw new KmsError('UNAVAILABLE', `the proofs of chain ${chainId} do not fit its block`, { cause });
  }
}

/** @throws {KmsError} UNAVAILABLE; what Chain throws */
export async function newestThatCounts(
  { chain, finality }: FollowedChain,
  signal: AbortSignal,
): Promise<bigint> {
  if (finality === 'finalized') {
    const header = await chain.header('finalized', signal);
    if (header === undefined) throw new KmsError('UNAVAILABLE', 'the chain has no finalized block');
    return header.number;
  }
  const { number } = await chain.latest(signal);
  const back = BigInt(finality.confirmations - 1);
  return number > back ? number - back : 0n;
}

function chainOf(network: ConnectorNetwork, chainId: bigint): FollowedChain {
  const { gateway } = network;
  return chainId === gateway.chain.chainId ? gateway : followed(network, chainId);
}
