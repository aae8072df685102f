import {
  type Abi,
  type ContractFunctionArgs,
  type ContractFunctionName,
  type ContractFunctionReturnType,
  decodeFunctionResult,
  type EncodeFunctionDataParameters,
  encodeFunctionData,
} from 'viem';
import { KmsError } from '../../shared/errors.ts';
import type { Chain } from './chain.ts';
import type { Hex } from './chain-data.ts';
import type { TransactionCall } from './sender.ts';

type View = 'view' | 'pure';
type Writing = 'nonpayable' | 'payable';

/** A contract on a chain. */
export interface Contract<A extends Abi> {
  readonly chain: Chain;
  /** 20 bytes, lower case. */
  readonly address: Hex;
  readonly abi: A;
}

/**
 * Asks a contract on the newest state.
 * @throws {KmsError} what Chain.call throws; BAD_INPUT if it reverts; BAD_ENCODING for an answer of other types
 */
export async function read<const A extends Abi, Name extends ContractFunctionName<A, View>>(
  { chain, address, abi }: Contract<A>,
  functionName: Name,
  args: ContractFunctionArgs<A, View, Name>,
): Promise<ContractFunctionReturnType<A, View, Name>> {
  const call: EncodeFunctionDataParameters = { abi, functionName, args: args as readonly unknown[] };
  const outcome = await chain.call({ to: address, data: encodeFunctionData(call) });
  if ('refusal' in outcome)
    throw new KmsError('BAD_INPUT', `${functionName} reverts: ${outcome.refusal.message}`);
  try {
    const result: unknown = decodeFunctionResult({ abi, functionName, data: outcome.returned } as never);
    return result as ContractFunctionReturnType<A, View, Name>;
  } catch (cause) {
    throw new KmsError('BAD_ENCODING', `${functionName} answers something else`, { cause });
  }
}

/** A transaction that calls a contract. */
export function callOf<const A extends Abi, Name extends ContractFunctionName<A, Writing>>(
  { address, abi }: Contract<A>,
  functionName: Name,
  args: ContractFunctionArgs<A, Writing, Name>,
  more: Pick<TransactionCall, 'value' | 'gas' | 'spareGas'> = {},
): TransactionCall {
  const call = { abi, functionName, args } as Parameters<typeof encodeFunctionData>[0];
  return { to: address, data: encodeFunctionData(call), ...more };
}
