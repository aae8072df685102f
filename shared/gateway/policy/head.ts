import { KmsError } from '../../errors.ts';
import type { ProvenChain } from '../proof/proven-chain.ts';
import type { PolicyContext } from './context.ts';

/**
 * Refuses a block that endpoints may have chosen for what it does not show yet: too old, older than one that was acted on, or not
 * yet deep enough to stay.
 * @param confirmations blocks from this one to the newest, both counted
 * @throws {KmsError} STALE_HEAD
 */
export function requireHead(context: PolicyContext, chain: ProvenChain, confirmations: bigint): void {
  const { number, timestamp } = chain.header;
  const known = context.heads.get(chain.chainId);
  if (known === undefined) throw stale(`chain ${chain.chainId} has no head that is believed`);
  if (number < known.accepted) throw stale(`block ${number} is older than block ${known.accepted}`);
  if (known.newest + 1n - number < confirmations) throw stale(`block ${number} is not confirmed yet`);
  if (timestamp + context.maxHeadAgeS < context.nowS) throw stale(`block ${number} is too old`);
}

function stale(what: string): KmsError {
  return new KmsError('STALE_HEAD', `${what}; prove the facts again at a newer block`);
}
