import { cp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KmsError } from '../../../shared/errors.ts';
import { cloudOwnerAttack } from '../cloud-owner.ts';
import type { LocalNetwork } from '../network.ts';
import type { NodeStatus } from '../network-options.ts';

/** What the demo shows of sealed storage; each step leaves all nodes ready. */

const TIMEOUT_MS = 40_000;
const POLL_MS = 50;

/** @param decrypt a decryption in which every node answers */
export async function restartSealed(
  network: LocalNetwork,
  party: number,
  decrypt: () => Promise<void>,
): Promise<string> {
  await network.stopNode(party, { signal: 'SIGKILL' });
  const startedMs = performance.now();
  await network.startNode(party);
  await network.connected();
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  await decrypt();
  return `node ${party} killed; back with its share after ${seconds} s, by KMS and t + 1 peers`;
}

/** No node has unsealed when the first one starts. */
export async function startAllCold(network: LocalNetwork, decrypt: () => Promise<void>): Promise<string> {
  const parties = network.addresses.map((_, i) => i + 1);
  await Promise.all(parties.map((party) => network.stopNode(party, { signal: 'SIGKILL' })));
  await Promise.all(parties.map((party) => network.startNode(party)));
  await network.connected();
  await decrypt();
  return `all ${parties.length} nodes killed at once; they unsealed each other, and the value is right`;
}

/** A network one of whose nodes is turned back. */
interface Rolled {
  readonly network: LocalNetwork;
  /** Done when all nodes have their shares. */
  readonly makeSpareKey: () => Promise<void>;
}

/** A bucket is put back to what it was before a key was made; then it gets its own contents back. */
export async function refuseRollback({ network, makeSpareKey }: Rolled, party: number): Promise<string> {
  const bucket = await network.bucketDirectory(party);
  const [old, own] = ['old', 'own'].map((name) => join(network.directory, `bucket-${name}`)) as [
    string,
    string,
  ];
  await network.stopNode(party);
  await network.stopCloud();
  await cp(bucket, old, { recursive: true });
  await network.startCloud();
  await network.startNode(party);
  await network.connected();
  await makeSpareKey();
  await network.stopNode(party);
  await exchange(network, bucket, old, own);
  await network.startNode(party);
  const { card } = await statusWhen(network, party, ({ card }) => card?.phase === 'recover');
  await network.stopNode(party);
  await exchange(network, bucket, own, old);
  await rm(old, { recursive: true, force: true });
  await network.startNode(party);
  await network.connected();
  return `node ${party} with an older bucket recovers only: ${card?.reason ?? ''}`;
}

/** KMS without attestation and every version of the buckets, for a node's account and those of t other operators. */
export async function refuseCloudOwner(
  network: LocalNetwork,
  victim: number,
  colluders: readonly number[],
): Promise<string> {
  const { tierOne, tierTwo } = await cloudOwnerAttack(network, victim, colluders);
  if (!tierOne) throw new KmsError('INTERNAL', 'not even tier 1 opened: the attack was none');
  if (tierTwo) throw new KmsError('INTERNAL', `the state of node ${victim} opened`);
  const accounts = colluders.length + 1;
  const shares = `${colluders.length} of ${network.t + 1} release shares`;
  return `tier 1 of ${accounts} accounts opened; the state of node ${victim} stays shut: ${shares}`;
}

/** The bucket's contents go to `away`, those of `here` take their place. */
async function exchange(network: LocalNetwork, bucket: string, here: string, away: string): Promise<void> {
  await network.stopCloud();
  await rename(bucket, away);
  await rename(here, bucket);
  await network.startCloud();
}

/** @throws {KmsError} TIMEOUT */
export async function statusWhen(
  network: LocalNetwork,
  party: number,
  isIt: (status: NodeStatus) => boolean,
): Promise<NodeStatus> {
  const deadlineMs = performance.now() + TIMEOUT_MS;
  for (;;) {
    const status = (await network.status()).find((one) => one.party === party);
    if (status !== undefined && isIt(status)) return status;
    if (performance.now() > deadlineMs) {
      throw new KmsError(
        'TIMEOUT',
        `node ${party} is not where it should be: ${status?.card?.phase ?? 'silent'}`,
      );
    }
    await sleep(POLL_MS);
  }
}
