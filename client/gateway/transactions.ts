import type { Abi, ContractEventName, DecodeEventLogReturnType } from 'viem';
import type { Chain } from '../../gateway/adapter/chain.ts';
import type { ChainLogEntry, Receipt } from '../../gateway/adapter/chain-data.ts';
import type { Contract } from '../../gateway/adapter/contract.ts';
import { eventOf, topicOf } from '../../gateway/adapter/events.ts';
import { silentChainLog } from '../../gateway/adapter/log.ts';
import { Sender, type SendOutcome, type TransactionCall } from '../../gateway/adapter/sender.ts';
import { KmsError } from '../../shared/errors.ts';
import { refused } from './reverts.ts';
import { type Awaited, quietly, timedOut, type Waiting, waitFor } from './waiting.ts';
import type { Wallet } from './wallet.ts';

/**
 * Sends a transaction and waits until it is mined.
 * @param what it does, as in "cannot publish the handle"
 * @throws {KmsError} what refused() says of a revert; TIMEOUT
 */
export async function send(
  waiting: Waiting,
  wallet: Wallet,
  chain: Chain,
  call: TransactionCall,
  what: string,
): Promise<Receipt> {
  const { timeoutMs, pollMs, onProgress } = waiting;
  const awaited: Awaited = {
    what: `${what}, in a transaction on chain ${chain.chainId}`,
    look: `is the chain up, and has ${wallet.address} money there?`,
  };
  onProgress(awaited.what, 0, 0);
  const limit = AbortSignal.timeout(timeoutMs);
  const signal = waiting.signal === undefined ? limit : AbortSignal.any([limit, waiting.signal]);
  const sender = new Sender({ chain, account: wallet, log: silentChainLog, signal, pollMs });
  let outcome: SendOutcome;
  try {
    outcome = await sender.send(what, call, async () => false);
  } catch (cause) {
    throw signal.aborted ? timedOut(timeoutMs, awaited, cause) : cause;
  }
  if (outcome.kind === 'mined') return outcome.receipt;
  if (outcome.kind === 'refused') throw refused(what, outcome.refusal);
  throw new KmsError('INTERNAL', 'nobody asked whether it was done');
}

/** The event that a transaction left; endpoints find events a moment after they find the transaction. @throws {KmsError} TIMEOUT */
export async function eventIn<const A extends Abi, Name extends ContractEventName<A>>(
  waiting: Waiting,
  contract: Contract<A>,
  eventName: Name,
  { blockHash, transactionHash }: Pick<ChainLogEntry, 'blockHash' | 'transactionHash'>,
): Promise<DecodeEventLogReturnType<A, Name>['args']> {
  const { chain, address, abi } = contract;
  const filter = { addresses: [address], topics: [topicOf(abi, eventName)] };
  const awaited = { what: `the event ${eventName}`, look: 'does the endpoint keep events?' };
  return waitFor(quietly(waiting), awaited, async () => {
    const logs = await chain.logsOf(filter, blockHash);
    const own = logs.find((log) => log.transactionHash === transactionHash);
    const event = own === undefined ? undefined : eventOf(contract, own);
    return event?.args as DecodeEventLogReturnType<A, Name>['args'] | undefined;
  });
}
