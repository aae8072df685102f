import { keccak256 } from 'viem';
import type { Hex } from '../../gateway/adapter/chain-data.ts';
import { read } from '../../gateway/adapter/contract.ts';
import type { TransactionCall } from '../../gateway/adapter/sender.ts';
import { KmsError } from '../../shared/errors.ts';
import type { GatewayContext } from './context.ts';
import { send } from './transactions.ts';
import { quietly } from './waiting.ts';
import type { Wallet } from './wallet.ts';

/** What a contract of the gateway does once a quorum of operators has sent the same call. */
export interface OperatorCall {
  readonly call: TransactionCall;
  /** As in "generate a key". */
  readonly what: string;
  /** It was carried out, or something else took its place. */
  readonly isOver: () => Promise<boolean>;
}

/** Where to look while approvals are missing. */
export const MORE_OPERATORS =
  'give the account keys of enough operators, or have the others run the same command now';

/**
 * Sends a call from each of these operators that has not approved it yet, until it is over. The same call from operators elsewhere
 * counts too, and what was approved before an interruption still does.
 * @returns the action that the approvals are recorded under
 * @throws {KmsError} NOT_PERMITTED for an account that is no operator's
 */
export async function approve(
  { gateway: { registry, chain }, waiting }: GatewayContext,
  operators: readonly Wallet[],
  { call, what, isOver }: OperatorCall,
): Promise<Hex> {
  const action = await read(registry, 'actionOf', [call.to, keccak256(call.data)]);
  const { quorum } = await read(registry, 'operatorSet', []);
  for (const operator of operators) {
    const index = await read(registry, 'operatorIndex', [operator.address]);
    if (index === 0) {
      throw new KmsError(
        'NOT_PERMITTED',
        `cannot ${what}: ${operator.address} is no operator of this gateway`,
      );
    }
    const approvals = await read(registry, 'approvalsOf', [action]);
    // Carried out meanwhile, or approved by this operator before.
    if (await isOver()) break;
    if (((approvals >> BigInt(index - 1)) & 1n) === 1n) continue;
    waiting.onProgress(`operators approve: ${what}`, sizeOf(approvals), quorum);
    await send(quietly(waiting), operator, chain, call, `approve the command to ${what}`);
  }
  return action;
}

function sizeOf(set: bigint): number {
  return set.toString(2).replaceAll('0', '').length;
}
