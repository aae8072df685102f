import { oracleAbi } from '../../gateway/adapter/abi/host.ts';
import { bytesOf, hexOf } from '../../gateway/adapter/chain-data.ts';
import { eventOf, eventsBackwards, topicOf } from '../../gateway/adapter/events.ts';
import { KmsError } from '../../shared/errors.ts';
import type { GatewayRequest, OracleRequest } from '../../shared/gateway/commitments.ts';
import type { HostChain } from '../../shared/gateway/network-commitments.ts';
import type { FollowedChain } from './network.ts';

/**
 * The request of a contract on the host chain that a gateway request carries.
 * @returns undefined if it carries none
 * @throws {KmsError} UNAVAILABLE if the host chain has no such request (yet); what Chain throws
 */
export async function oracleRequestOf(
  { chain, startBlock }: FollowedChain,
  { oracle }: HostChain,
  { reference, consumer }: GatewayRequest,
): Promise<OracleRequest | undefined> {
  if (reference.every((byte) => byte === 0)) return undefined;
  const address = hexOf(oracle);
  const asker = `0x${hexOf(consumer).slice(2).padStart(64, '0')}` as const;
  const topics = [topicOf(oracleAbi, 'DecryptionRequested'), null, asker];
  for await (const logs of eventsBackwards(chain, address, topics, startBlock)) {
    for (const log of logs) {
      const event = eventOf({ chain, address, abi: oracleAbi }, log);
      if (event?.eventName !== 'DecryptionRequested' || event.args.slot !== hexOf(reference)) continue;
      const { oracle: of, consumer: by, selector, keyId, handles, ...numbers } = event.args.request;
      return {
        ...{ ...numbers, oracle: bytesOf(of), consumer: bytesOf(by), selector: bytesOf(selector) },
        ...{ keyId: bytesOf(keyId), handles: handles.map(bytesOf) },
      };
    }
  }
  throw new KmsError('UNAVAILABLE', 'the host chain has no such request of a contract');
}
