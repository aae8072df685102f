import { assembleEvidence } from '../../shared/gateway/proof/assemble.ts';
import { ProvenChain } from '../../shared/gateway/proof/proven-chain.ts';
import { fromHex } from '../../shared/wire/bytes.ts';
import type { Block } from './block.ts';
import type { ChainEndpoint, SlotsOf } from './endpoint.ts';

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
  const evidence = assembleEvidence(chainId, header, [{ ...of, nodes }]);
  return ProvenChain.open(evidence, { chainId, hash: fromHex(block.hash) });
}
