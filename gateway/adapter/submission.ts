import type { Refusal } from './endpoint.ts';

/**
 * What an endpoint's refusal of a signed transaction means. Nodes agree on no codes, so their words are read: those of geth, reth,
 * erigon, nethermind and anvil.
 */
export type Verdict =
  | 'known' // it has the very transaction
  | 'nonce-used' // another one of this nonce is mined
  | 'nonce-taken' // another one of this nonce waits, with fees that this one does not outbid
  | 'fees-too-low'
  | 'refused';

export function verdictOf({ message }: Refusal): Verdict {
  if (/already known|already imported|already exists|known transaction/i.test(message)) return 'known';
  if (/nonce (?:is )?too low|nonce.*already|old nonce/i.test(message)) return 'nonce-used';
  if (/replacement|could not replace|not enough to replace/i.test(message)) return 'nonce-taken';
  if (/underpriced|fee per gas|fee cap|fee too low|base fee/i.test(message)) return 'fees-too-low';
  return 'refused';
}
