import type { Hex } from 'viem';
import type { LocalHost } from '../../infra/local/chains/host.ts';
import { ConnectedNetwork } from '../e2e/gateway/connected-network.ts';
import { cpuSeconds, type Job, wallSeconds } from './job.ts';
import type { Workbench } from './workbench.ts';

/**
 * Four live enclaves, their connectors and a relayer in this process, around chains of this machine that make a block for each
 * transaction. What a clock on the wall shows: chains and this process share the machine with whatever else runs.
 */

const CROWD = 200;
const POLL_MS = 15;
/** For what costs more. */
const LONG_POLL_MS = 250;
const GAS = 100_000;

interface Ready {
  readonly network: ConnectedNetwork;
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
        {
          name: 'gateway-callback-cpu',
          unit: 'ms',
          about: 'the same: CPU time of four nodes, connectors and the relayer',
        },
      ],
      ...{ warmUps: 3, runs: 20, seconds: 25 },
      prepare: () => async () => {
        const { network, handle } = await started();
        const [startedAt, cpuAt] = [wallSeconds(), cpuSeconds()];
        await ask(network.host, handle, 1);
        await executed(network.host, 1);
        return [(wallSeconds() - startedAt) * 1000, (cpuSeconds() - cpuAt) * 1000];
      },
    },
    {
      figures: [
        {
          ...{ name: 'gateway-200', unit: 's' },
          about: `${CROWD} public decryptions asked for at once, until the last callback; none is lost`,
        },
        {
          name: 'gateway-200-cpu',
          unit: 's',
          about: 'the same: CPU time of four nodes, connectors and the relayer',
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
        const { network, handle } = await started();
        const before = await answers(network);
        const [startedAt, cpuAt] = [wallSeconds(), cpuSeconds()];
        await ask(network.host, handle, CROWD);
        const executing = executed(network.host, CROWD);
        while ((await answers(network)).length < before.length + CROWD) await pause(LONG_POLL_MS);
        const answeredS = wallSeconds() - startedAt;
        await executing;
        const [seconds, cpu] = [wallSeconds() - startedAt, cpuSeconds() - cpuAt];
        const sizes = [
          ...Map.groupBy((await answers(network)).slice(before.length), (hash) => hash).values(),
        ];
        return [seconds, cpu, answeredS, sizes.length, Math.max(...sizes.map((all) => all.length))];
      },
    },
  ];
}

async function start({ started }: Pick<Workbench, 'started'>): Promise<Ready> {
  const network = started.use(await ConnectedNetwork.start({}));
  const { key, id } = await network.makeKey();
  const { handle } = await network.input(await key.encrypt({ kind: 'scalar', value: 7n }), id);
  await network.publish(handle);
  return { network, handle };
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
async function answers({ enclaves }: ConnectedNetwork): Promise<readonly Hex[]> {
  const { decryptions } = enclaves.chains.gateway;
  const events = await enclaves.relayer.client.getContractEvents({
    ...{ ...decryptions, eventName: 'PublicDecryptionAnswered', fromBlock: 0n },
  });
  return events.map(({ transactionHash }) => transactionHash!);
}

function pause(ms = POLL_MS): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
