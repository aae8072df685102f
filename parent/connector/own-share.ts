import { decryptionsAbi } from '../../gateway/adapter/abi/gateway.ts';
import { hexOf } from '../../gateway/adapter/chain-data.ts';
import { callOf, read } from '../../gateway/adapter/contract.ts';
import { eventOf, eventsBackwards, topicOf } from '../../gateway/adapter/events.ts';
import { revertOf } from '../../gateway/adapter/log.ts';
import type { AskedRequest } from './asked.ts';
import type { ConnectorPorts } from './ports.ts';
import type { KeptAnswer } from './shares.ts';

/**
 * Adds this node's share to a user's answered request, unless it is in the answer or was added before: the user may need more shares
 * than the quorum that was posted.
 * @throws {KmsError} what Chain and Sender throw
 */
export async function addOwnShare(
  { network, party, sender, log }: ConnectorPorts,
  { args }: AskedRequest,
  { epoch, digest, words }: KeptAnswer,
): Promise<void> {
  const { decryptions } = network.gateway;
  const own = words.find((word) => word.party === party);
  if (own === undefined || hexOf(own.own) !== `0x${digest}`) return;
  if (await isInAnswer({ network, party }, args.id, digest)) return;
  const isAdded = async (): Promise<boolean> =>
    BigInt(await read(decryptions, 'laterShares', [args.id, party])) !== 0n;
  const call = callOf(decryptions, 'addUserShare', [
    args,
    epoch,
    party,
    hexOf(own.own),
    hexOf(own.signature),
  ]);
  const outcome = await sender.send(`share-${args.id}`, call, isAdded);
  if (outcome.kind !== 'refused') return;
  // Its epoch may be over: nobody counts the share any more.
  log('warn', 'share-refused', { count: Number(args.id), ...revertOf(outcome.refusal) });
}

async function isInAnswer(
  { network: { gateway }, party }: Pick<ConnectorPorts, 'network' | 'party'>,
  id: bigint,
  digest: string,
): Promise<boolean> {
  const { chain, decryptions, startBlock } = gateway;
  const topics = [topicOf(decryptionsAbi, 'UserDecryptionAnswered'), wordOf(id)];
  for await (const logs of eventsBackwards(chain, decryptions.address, topics, startBlock)) {
    for (const log of logs) {
      const event = eventOf(decryptions, log);
      if (event?.eventName !== 'UserDecryptionAnswered') continue;
      const { parties, shareDigests } = event.args;
      const bit = 1n << BigInt(party - 1);
      if ((parties & bit) === 0n) return false;
      return shareDigests[countOf(parties & (bit - 1n))] === `0x${digest}`;
    }
  }
  return false;
}

function countOf(set: bigint): number {
  return set.toString(2).replaceAll('0', '').length;
}

function wordOf(id: bigint): `0x${string}` {
  return `0x${id.toString(16).padStart(64, '0')}`;
}
