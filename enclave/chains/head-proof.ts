import { KmsError } from '../../shared/errors.ts';
import { assembleEvidence } from '../../shared/gateway/proof/assemble.ts';
import { ProvenChain } from '../../shared/gateway/proof/proven-chain.ts';
import { fromHex } from '../../shared/wire/bytes.ts';
import type { Block } from './block.ts';
import type { ChainEndpoint, SlotsOf } from './endpoint.ts';

/** A few slots of one account, each some ten nodes deep. All that come are hashed, whatever the walk then needs. */
const MAX_PROOF_NODES = 256;

/**
 * What a contract's storage held at a block that is agreed on, by the proof of one endpoint: of what it answers only the hashes count.
 * @throws {KmsError} NOT_PROVEN, BAD_ENCODING, TOO_LARGE; what an endpoint throws
 */
export async function provenBy(
  endpoint: ChainEndpoint,
  chainId: bigint,
  block: Block,
  of: SlotsOf,
  signal: AbortSignal,
): Promise<ProvenChain> {
  const [header, nodes] = await Promise.all([
    endpoint.header(block.hash, signal),
    endpoint.proof(of, block.number, signal),
  ]);
  if (nodes.length > MAX_PROOF_NODES) {
    throw new KmsError('TOO_LARGE', `the proof of a few slots has at most ${MAX_PROOF_NODES} nodes`);
  }
  const evidence = assembleEvidence(chainId, header, [{ ...of, nodes }]);
  return ProvenChain.open(evidence, { chainId, hash: fromHex(block.hash) });
}
