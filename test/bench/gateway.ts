import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Hex } from 'viem';
import type { LocalGateway } from '../../infra/local/chains/gateway.ts';
import type { LocalHost } from '../../infra/local/chains/host.ts';
import { Stage } from '../../infra/local/demo/stage.ts';
import { LocalNetwork } from '../../infra/local/network.ts';
import { type Job, wallSeconds } from './job.ts';
import type { Workbench } from './workbench.ts';

/**
 * A local network with its gateway, all of it processes: four nodes and their connectors, coprocessors, a relayer, chains that make a
 * block for each transaction and are asked for it every 15 ms. What a clock on the wall shows: they share the machine with each other
 * and with whatever else runs.
 */

const CROWD = 200;
const POLL_MS = 15;
/** For what costs more. */
const LONG_POLL_MS = 250;
const GAS = 100_000;

interface Ready {
  readonly gateway: LocalGateway;
  readonly host: LocalHost;
  /** Public, and committed by the coprocessors. */
  readonly handle: Hex;
}

export function gatewayJobs(bench: Pick<Workbench, 'started'>): readonly Job[] {
  let ready: Promise<Ready> | undefined;
  const started = (): Promise<Ready> => {
    ready ??= start(bench);
    return ready;
  };
  return [
    {
      figures: [
        {
          ...{ name: 'gateway-callback', unit: 'ms', target: 400 },
          about:
            'a contract’s request on the host chain to its verified callback, (4,1), one at a time, wall clock',
        },
      ],
      ...{ warmUps: 3, warmUpsAgain: 1, runs: 20, seconds: 25 },
      prepare: () => async () => {
        const { host, handle } = await started();
        const startedAt = wallSeconds();
        await ask(host, handle, 1);
        await executed(host, 1);
        return [(wallSeconds() - startedAt) * 1000];
      },
    },
    {
      figures: [
        {
          ...{ name: 'gateway-200', unit: 's' },
          about: `${CROWD} public decryptions asked for at once, until the last callback; none is lost`,
        },
        {
          ...{ name: 'gateway-200-answered', unit: 's' },
          about: 'the same, until the last answer is on the gateway',
        },
        { name: 'gateway-200-transactions', unit: 'count', about: 'transactions that answered them' },
        { name: 'gateway-200-largest-batch', unit: 'count', about: 'answers in the largest of them' },
      ],
      ...{ warmUps: 0, runs: 1, seconds: 60 },
      prepare: () => async () => {
        const { gateway, host, handle } = await started();
        const before = await answers(gateway);
        const startedAt = wallSeconds();
        await ask(host, handle, CROWD);
        const executing = executed(host, CROWD);
        while ((await answers(gateway)).length < before.length + CROWD) await pause(LONG_POLL_MS);
        const answeredS = wallSeconds() - startedAt;
        await executing;
        const seconds = wallSeconds() - startedAt;
        const sizes = [
          ...Map.groupBy((await answers(gateway)).slice(before.length), (hash) => hash).values(),
        ];
        return [seconds, answeredS, sizes.length, Math.max(...sizes.map((all) => all.length))];
      },
    },
  ];
}

async function start({ started }: Pick<Workbench, 'started'>): Promise<Ready> {
  const home = await mkdtemp(join(tmpdir(), 'kms-bench-'));
  started.defer(() => rm(home, { recursive: true, force: true }));
  const network = await LocalNetwork.up({
    ...{ stateDirectory: join(home, 'state'), n: 4, t: 1, gateway: true, pollMs: POLL_MS },
  });
  started.defer(() => network.down({ erase: true }));
  const stage = await Stage.open(network, {});
  started.defer(() => stage[Symbol.dispose]());
  await stage.makeKey('test-4096');
  const handle = await stage.bring({ kind: 'scalar', value: 7n });
  await stage.expectPublic(handle, { kind: 'scalar', value: 7n });
  return { handle, ...(await stage.contracts()) };
}

/** Requests of an account that stands for a contract, as fast as its chain takes them. */
async function ask({ deployer, oracle }: LocalHost, handle: Hex, count: number): Promise<void> {
  const call = { to: oracle, name: 'request', args: [[handle], '0x00000000', GAS], gas: 500_000n };
  await Promise.all(Array.from({ length: count }, () => deployer.send(call)));
}

/** Until the newest requests have had their callbacks. */
async function executed({ deployer, oracle }: LocalHost, count: number): Promise<void> {
  const last = (await deployer.read({ to: oracle, name: 'requestCount' })) as bigint;
  for (let id = last - BigInt(count) + 1n; id <= last; id++) {
    while ((await deployer.read({ to: oracle, name: 'executed', args: [id] })) !== true) await pause();
  }
}

/** Transactions of all answers, in their order. */
async function answers({ decryptions, operators }: LocalGateway): Promise<readonly Hex[]> {
  const [reader] = operators;
  const events = await reader!.client.getContractEvents({
    ...{ ...decryptions, eventName: 'PublicDecryptionAnswered', fromBlock: 0n },
  });
  return events.map(({ transactionHash }) => transactionHash!);
}

function pause(ms = POLL_MS): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
