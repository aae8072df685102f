import { decodeFunctionData } from 'viem';
import { KmsError } from '../../shared/errors.ts';
import { readAccess } from '../../shared/gateway/slots.ts';
import type { ChainLogEntry } from '../adapter/chain-data.ts';
import { callOf, read } from '../adapter/contract.ts';
import { eventOf } from '../adapter/events.ts';
import type { Attempt } from '../adapter/workshop.ts';
import type { RelayerNetwork } from './network.ts';

/**
 * Brings a handle to the chain where the committee says that an account may use it.
 * @param log a HandleTransferAnswered of the gateway
 * @throws {KmsError} BAD_ENCODING; what Chain throws
 */
export async function admit(network: RelayerNetwork, log: ChainLogEntry): Promise<Attempt> {
  const { decryptions, chain } = network.gateway;
  const event = eventOf(decryptions, log);
  if (event?.eventName !== 'HandleTransferAnswered')
    throw new KmsError('BAD_ENCODING', 'no answered transfer');
  const transaction = await chain.transaction(log.transactionHash);
  if (transaction === undefined) return 'done'; // Its block is no more; where it stands now it is delivered again.
  if (transaction.to !== decryptions.address) return 'never'; // Through another contract: its calldata is not ours to read.
  const call = decodeFunctionData({ abi: decryptions.abi, data: transaction.input });
  if (call.functionName !== 'answerTransfer') return 'never';
  const [, transfer, signatures] = call.args;
  const host = network.hosts.get(transfer.destinationChainId);
  if (host === undefined) return 'done'; // For relayers of that chain.
  const { accessControl, compute, sender } = host;
  const isAdmitted = async (): Promise<boolean> => {
    const { isAllowed } = readAccess(
      await read(accessControl, 'access', [transfer.handle, transfer.account]),
    );
    return isAllowed && (await read(compute, 'facts', [transfer.handle])) !== 0n;
  };
  const outcome = await sender.send(
    `admit-${event.args.id}`,
    callOf(compute, 'admit', [transfer, signatures]),
    isAdmitted,
  );
  // The key may not be known there yet.
  return outcome.kind === 'refused' ? { later: [] } : 'done';
}
