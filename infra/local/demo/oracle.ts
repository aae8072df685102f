import { randomInt } from 'node:crypto';
import { KmsError } from '../../../shared/errors.ts';
import { type Deployed, LocalAccount } from '../chains/account.ts';
import { userOf } from '../chains/accounts.ts';
import { compiled, type LocalGateway } from '../chains/gateway.ts';
import type { LocalHost } from '../chains/host.ts';
import { eventually } from './eventually.ts';
import type { Stage } from './stage.ts';

const VOTERS = [1, 2];
const VOTE_SECONDS = 12n;

/**
 * The service's workflow, from a contract to its callback: two people vote in ConfidentialTally on the first host chain, the contract
 * asks its oracle for the sum, and the relayer that carried the request dies before it can bring the answer back.
 */
export async function countVotes(stage: Stage): Promise<string> {
  const { gateway, host } = await stage.contracts();
  const tally = await openVote(stage, host);
  const ballots = VOTERS.map(() => randomInt(2));
  for (const [i, voter] of VOTERS.entries()) await vote(stage, host, tally, voter, BigInt(ballots[i]!));
  const { deployer } = host;
  const read = (name: string): Promise<unknown> => deployer.read({ to: tally, name });
  const endsAt = BigInt(String(await read('endsAt')));
  await eventually('the vote ends', async () => (await deployer.client.getBlock()).timestamp >= endsAt);
  const before = await requestsOn(gateway);
  await deployer.send({ to: tally, name: 'close' });
  await eventually('the relayer asks the gateway', async () => (await requestsOn(gateway)) > before);
  await stage.network.stopProgram('relayer', 'SIGKILL');
  await stage.network.startProgram('relayer-2');
  try {
    await eventually('the contract is called back', async () => (await read('isCounted')) === true);
  } finally {
    await stage.network.startProgram('relayer');
    await stage.network.stopProgram('relayer-2');
  }
  const [yes, sum] = [Number(await read('yes')), ballots.reduce((a, b) => a + b, 0)];
  if (yes !== sum) throw new KmsError('INTERNAL', `the contract counted ${yes}, ${sum} voted yes`);
  if ((await requestsOn(gateway)) !== before + 1) throw new KmsError('INTERNAL', 'the contract asked once');
  return `${yes} of ${VOTERS.length} votes, verified and counted by the contract; the relayer died midway, another one finished`;
}

async function openVote({ key }: Stage, { deployer, compute, oracle }: LocalHost): Promise<Deployed> {
  const { timestamp } = await deployer.client.getBlock();
  const args = [compute.address, oracle.address, `0x${key.id}`, timestamp + VOTE_SECONDS];
  return deployer.deploy(compiled('ConfidentialTally'), args);
}

/** @param voter its number among the users */
async function vote(
  stage: Stage,
  { chain }: LocalHost,
  tally: Deployed,
  voter: number,
  yes: bigint,
): Promise<void> {
  const account = new LocalAccount(chain, userOf(voter));
  const { digest, proof } = await stage.prepare(
    { kind: 'scalar', value: yes },
    tally.address,
    account.address,
  );
  await account.send({ to: tally, name: 'vote', args: [digest, proof] });
}

/** Public decryptions that were ever asked for. */
async function requestsOn({ decryptions, operators }: LocalGateway): Promise<number> {
  const [reader] = operators;
  const named = { ...decryptions, eventName: 'PublicDecryptionRequested', fromBlock: 0n };
  return (await reader!.client.getContractEvents(named)).length;
}
