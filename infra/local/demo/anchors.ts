import { cp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { NodeChannel } from '../../../client/node-channel.ts';
import { trustIn } from '../../../client/node-trust.ts';
import { hexOf } from '../../../gateway/adapter/chain-data.ts';
import { KmsError } from '../../../shared/errors.ts';
import { eventually } from './eventually.ts';
import { statusWhen } from './sealing.ts';
import type { Stage } from './stage.ts';

/**
 * All operators together put their buckets back to what they were before a key was made. No node and no bucket shows it; the registry
 * on the gateway chain does. Then the buckets get their own contents back.
 */
export async function refuseRollbackOfAll(stage: Stage): Promise<string> {
  const { network } = stage;
  const parties = network.addresses.map((_, i) => i + 1);
  const places = await Promise.all(
    parties.map(async (party) => ({
      bucket: await network.bucketDirectory(party),
      old: join(network.directory, `bucket-${party}-old`),
      own: join(network.directory, `bucket-${party}-own`),
    })),
  );
  const whileDown = async (change: (place: (typeof places)[number]) => Promise<void>): Promise<void> => {
    await Promise.all(parties.map((party) => network.stopNode(party)));
    await network.stopCloud();
    for (const place of places) await change(place);
    await network.startCloud();
    await Promise.all(parties.map((party) => network.startNode(party)));
  };
  await whileDown(({ bucket, old }) => cp(bucket, old, { recursive: true }));
  await network.connected();
  const later = await progressSince(stage);
  await stage.makeSpareKey();
  await eventually('the registry remembers what every node has done since', later);
  await whileDown(async ({ bucket, old, own }) => {
    await rename(bucket, own);
    await rename(old, bucket);
  });
  const reasons: string[] = [];
  for (const party of parties) {
    const { card } = await statusWhen(network, party, (one) => one.card?.phase === 'recover');
    reasons.push(card?.reason ?? '');
  }
  const [reason = ''] = reasons;
  if (!reasons.every((one) => one.endsWith('is anchored'))) {
    throw new KmsError('INTERNAL', `not for their anchors: ${reasons.join('; ')}`);
  }
  await whileDown(async ({ bucket, own }) => {
    await rm(bucket, { recursive: true });
    await rename(own, bucket);
  });
  await network.connected();
  return `all ${parties.length} buckets turned back at once, no node works: ${reason}`;
}

/** @returns whether every node has a later state than now, and the registry knows that it has */
async function progressSince(stage: Stage): Promise<() => Promise<boolean>> {
  const { gateway } = await stage.contracts();
  const [reader] = gateway.operators;
  const { chain, members } = stage.kms.network;
  const stateOf = async ({ identity, address }: (typeof members)[number]): Promise<bigint> => {
    const channel = new NodeChannel({ identity, addresses: [address] }, trustIn(chain));
    try {
      return (await (await channel.client()).signAnchor({})).version;
    } finally {
      channel.close();
    }
  };
  const anchorOf = async ({ identity }: (typeof members)[number]): Promise<bigint> => {
    const call = { to: gateway.registry, name: 'anchorVersions', args: [hexOf(identity)] };
    return (await reader!.read(call)) as bigint;
  };
  const before = await Promise.all(members.map(stateOf));
  return async () => {
    const anchored = await Promise.all(members.map(anchorOf));
    if (anchored.some((version, i) => version <= before[i]!)) return false;
    const now = await Promise.all(members.map(stateOf));
    return anchored.every((version, i) => version === now[i]);
  };
}
