import { KmsError } from '../errors.ts';
import { equalBytes } from '../wire/bytes.ts';
import { checkHeadAge } from './chain-access.ts';
import { badConfiguration, type Configuration, type Measurement } from './configuration.ts';
import { type Genesis, hasGateway } from './genesis.ts';
import { isSameGovernance } from './governance.ts';
import { measurementName } from './measurement.ts';
import { checkRpcSet } from './rpc.ts';

/**
 * What a configuration may be after its predecessors, apart from signatures (decision 0004). Only what every node
 * computes alike counts here: never the head of a chain, which nodes see at different times.
 */

/**
 * @param history configurations 0 to number - 1
 * @throws {KmsError} BAD_CONFIGURATION
 */
export function checkSuccession(
  genesis: Genesis,
  history: readonly Configuration[],
  next: Configuration,
): void {
  checkChains(genesis, next);
  const before = history.at(-1);
  if (before === undefined) return;
  checkCommittee(before, next);
  if (next.activationBlock <= before.overlapUntilBlock) {
    throw badConfiguration(
      `configuration ${next.number} begins before block ${before.overlapUntilBlock + 1}: three would be valid at once`,
    );
  }
  checkGovernanceDelay(genesis, history, next);
  checkSomeMeasurement(genesis, history, next);
}

/** Number of the first of the configurations that list the measurement without a break, up to the last one. */
export function listedSince(history: readonly Configuration[], measurement: Measurement): number {
  const name = measurementName(measurement);
  return unbroken(history, ({ measurements }) => measurements.some((one) => measurementName(one) === name));
}

/** Number of the first of the configurations for which it holds without a break, up to the last one. */
export function unbroken(history: readonly Configuration[], holds: (one: Configuration) => boolean): number {
  const last = history.length - 1;
  return history.findLastIndex((one, i) => i < last && !holds(one)) + 1;
}

function checkChains(genesis: Genesis, { rpc, maxHeadAgeS, hosts }: Configuration): void {
  try {
    checkRpcSet(rpc, hasGateway(genesis));
    if (hasGateway(genesis)) checkHeadAge(maxHeadAgeS);
    else if (maxHeadAgeS !== 0 || hosts.length > 0) {
      throw new KmsError('BAD_INPUT', 'a network without a gateway asks no chain');
    }
    // One chain has one rule of finality, and the gateway's is in genesis.
    if (hosts.some(({ chainId }) => chainId === genesis.gateway.chainId)) {
      throw new KmsError('BAD_INPUT', 'the gateway chain is no host chain');
    }
  } catch (cause) {
    throw badConfiguration(cause instanceof Error ? cause.message : 'bad chains', cause);
  }
}

/** Another committee is another epoch: shares move to it by a protocol of their own, which does not exist yet. */
function checkCommittee(before: Configuration, next: Configuration): void {
  const isSame =
    next.epoch === before.epoch &&
    next.t === before.t &&
    next.members.length === before.members.length &&
    next.members.every(({ identity, bootKey }, i) => {
      const member = before.members[i]!;
      return equalBytes(identity, member.identity) && equalBytes(bootKey, member.bootKey);
    });
  if (!isSame) {
    throw badConfiguration(
      'a configuration cannot change the committee yet: epoch, t, parties and identities stay as they are',
    );
  }
}

/** New governance keys sign only after the delay, so that the old ones' owners see them coming. */
function checkGovernanceDelay(
  genesis: Genesis,
  history: readonly Configuration[],
  next: Configuration,
): void {
  const { governance } = history.at(-1)!;
  const since = unbroken(history, (one) => isSameGovernance(one.governance, governance));
  if (since === 0) return;
  const countsFrom = history[since]!.activationBlock + genesis.measurementDelayBlocks;
  if (next.activationBlock < countsFrom) {
    throw badConfiguration(
      `the governance keys of configuration ${since} count from block ${countsFrom}; ` +
        `configuration ${next.number} cannot be active before`,
    );
  }
}

/** From its first block on some measurement counts, or no node could prove itself to another. */
function checkSomeMeasurement(
  genesis: Genesis,
  history: readonly Configuration[],
  next: Configuration,
): void {
  const all = [...history, next];
  const counts = next.measurements.some((measurement) => {
    const since = listedSince(all, measurement);
    const delay = since === 0 ? 0 : genesis.measurementDelayBlocks;
    return all[since]!.activationBlock + delay <= next.activationBlock;
  });
  if (!counts) {
    throw badConfiguration(
      'none of the measurements counts when the configuration becomes active: keep an old one until a new one does',
    );
  }
}
