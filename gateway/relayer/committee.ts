import { KmsError } from '../../shared/errors.ts';
import type { ChainLogEntry } from '../adapter/chain-data.ts';
import { callOf, read } from '../adapter/contract.ts';
import { eventOf } from '../adapter/events.ts';
import { revertOf } from '../adapter/log.ts';
import type { Attempt } from '../adapter/workshop.ts';
import type { HostSide, RelayerNetwork } from './network.ts';

/**
 * Hands a host chain's verifier over to the committee of a new epoch, epoch by epoch, once the old one's word is there.
 * @param log an EpochActivated of the registry
 * @throws {KmsError} BAD_ENCODING; what Chain throws
 */
export async function handOver(
  network: RelayerNetwork,
  host: HostSide,
  log: ChainLogEntry,
): Promise<Attempt> {
  const event = eventOf(network.gateway.registry, log);
  if (event?.eventName !== 'EpochActivated') throw new KmsError('BAD_ENCODING', 'no activated epoch');
  const { epoch } = event.args;
  const { verifier, sender } = host;
  const current = await read(verifier, 'currentEpoch', []);
  if (current >= epoch) return 'done';
  const signed = await network.committeeChanges.find(current);
  if (signed === undefined) return { later: [] };
  const isChanged = async (): Promise<boolean> => (await read(verifier, 'currentEpoch', [])) > current;
  const call = callOf(verifier, 'changeCommittee', [signed.change, signed.signatures]);
  const outcome = await sender.send(`committee-${current}`, call, isChanged);
  if (outcome.kind === 'refused') {
    network.log('error', 'committee-change-refused', {
      chain: Number(host.chain.chainId),
      count: Number(epoch),
      ...revertOf(outcome.refusal),
    });
    return { later: [] };
  }
  return (await read(verifier, 'currentEpoch', [])) >= epoch ? 'done' : { later: [] };
}
