import { bytesOf, type Hex } from '../../gateway/adapter/chain-data.ts';
import { callOf, read } from '../../gateway/adapter/contract.ts';
import { readHandle } from '../../shared/gateway/handle.ts';
import type { GatewayContext } from './context.ts';
import { answered, lifetimeOf } from './decryption.ts';
import type { Acting } from './handles.ts';
import { eventIn, send } from './transactions.ts';
import { waitFor } from './waiting.ts';

/** Who takes a handle to which chain. */
export interface TransferActing extends Omit<Acting, 'hostChainId'> {
  readonly toChainId: bigint;
}

/**
 * Takes a handle to another host chain, where the account may use it from then on as if it had been made there. Its owner grants it
 * on its own chain, 2t+1 nodes prove the grant and attest to it, and a relayer brings their word to the other chain, whose contract
 * verifies it: endpoints and relayers can keep the handle from coming, and nothing else.
 * @throws {KmsError} BAD_ENCODING for what is no handle; BAD_INPUT for a chain that is not in the gateway file; NOT_PERMITTED,
 * REQUEST_OVER, TIMEOUT
 */
export async function transfer(
  context: GatewayContext,
  handle: Hex,
  { account, toChainId }: TransferActing,
): Promise<void> {
  const { gateway, waiting } = context;
  const { chainId } = readHandle(bytesOf(handle));
  const [origin, destination] = [await context.host(chainId), await context.host(toChainId)];
  const grant = [handle, toChainId, account.address, true] as const;
  const allow = callOf(origin.accessControl, 'allowOn', grant);
  await send(waiting, account, origin.chain, allow, `allow the handle on chain ${toChainId}`);
  const value = await read(gateway.decryptions, 'feePerHandle', []);
  const args = [handle, chainId, toChainId, account.address, lifetimeOf(context)] as const;
  const call = callOf(gateway.decryptions, 'requestTransfer', args, { value });
  const receipt = await send(waiting, account, gateway.chain, call, 'ask for the transfer');
  const { id } = await eventIn(waiting, gateway.decryptions, 'HandleTransferRequested', receipt);
  await answered(context, id);
  const awaited = {
    what: `chain ${toChainId} admits the handle`,
    look: 'the nodes have attested to it; is a relayer up that follows this chain?',
  };
  await waitFor(waiting, awaited, async () => {
    const isAllowed = await read(destination.accessControl, 'isAllowed', [handle, account.address]);
    return isAllowed ? true : undefined;
  });
}
