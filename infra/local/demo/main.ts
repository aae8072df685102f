import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { duration, Progress } from '../../../client/cli/progress.ts';
import { table } from '../../../client/cli/table.ts';
import { LocalNetwork } from '../network.ts';
import { recordChains } from './chain-record.ts';
import { PRESET } from './computation.ts';
import { Demo } from './run.ts';
import { Stage } from './stage.ts';
import { type DemoStep, stepsWithNeeds } from './steps.ts';

const OUTPUT = 'out/demo.json';
/** What the chains hold of it, for whoever wants to check. */
const CHAINS_OUTPUT = 'out/demo-chains.json';
const ALIVE_MS = 60_000;

interface StepResult {
  readonly name: DemoStep;
  readonly ok: boolean;
  readonly ms: number;
  readonly detail: string;
}

async function runSteps(
  demo: Demo,
  steps: readonly DemoStep[],
  progress: Progress,
  signal: AbortSignal,
): Promise<readonly StepResult[]> {
  const results: StepResult[] = [];
  for (const name of steps) {
    if (signal.aborted) break;
    progress.update(name, 0, 0);
    const startedMs = performance.now();
    const [ok, detail] = await demo.run(name).then(
      (text) => [true, text] as const,
      (error: unknown) => [false, error instanceof Error ? error.message : String(error)] as const,
    );
    results.push({ name, ok, ms: Math.round(performance.now() - startedMs), detail });
    if (!ok) break;
  }
  progress.finish();
  return results;
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { steps: { type: 'string' } } });
  const steps = stepsWithNeeds(values.steps ?? process.env.STEPS ?? '');
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => interrupted.abort());

  // Time limits do not keep a process alive, and a step that waits for one must not end with nodes left running.
  const alive = setInterval(() => {}, ALIVE_MS);
  const stateDirectory = await mkdtemp(join(tmpdir(), 'kms-demo-'));
  const startedMs = performance.now();
  const progress = new Progress(process.stderr, () => performance.now(), 'demo');
  let network: LocalNetwork | undefined;
  try {
    network = await LocalNetwork.up({
      stateDirectory,
      gateway: true,
      signal: interrupted.signal,
      onProgress: ({ phase, done, total }) => progress.update(phase, done, total),
    });
    using stage = await Stage.open(network, {
      signal: interrupted.signal,
      onProgress: (phase, done, total) => progress.update(phase, done, total),
    });
    const demo = new Demo(stage);
    const results = await runSteps(demo, steps, progress, interrupted.signal);
    if (interrupted.signal.aborted) return 130;
    await report(
      network,
      results,
      [...demo.culprits].sort((a, b) => a - b),
      performance.now() - startedMs,
    );
    return results.every(({ ok }) => ok) ? 0 : 1;
  } catch (error) {
    progress.finish();
    if (interrupted.signal.aborted) return 130;
    process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  } finally {
    clearInterval(alive);
    progress.finish();
    await network?.down({ erase: true });
    await rm(stateDirectory, { recursive: true, force: true });
    if (interrupted.signal.aborted) process.stderr.write('demo: stopped; nothing is left running\n');
  }
}

async function report(
  network: LocalNetwork,
  results: readonly StepResult[],
  culprits: readonly number[],
  totalMs: number,
): Promise<void> {
  const { n, t } = network;
  const rows = results.map(({ name, ok, ms, detail }) => [name, ok ? 'ok' : 'FAILED', duration(ms), detail]);
  const lines = [
    `${n} nodes, ${t} of them may be corrupt, three chains, three coprocessors, a relayer; ${PRESET.name}; ${duration(totalMs)} in all`,
    '',
    ...table([['STEP', 'RESULT', 'TIME', 'WHAT'], ...rows]),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
  const steps = results.map(({ name, ok, ms }) => ({ name, ok, ms }));
  const json = { committee: { n, t }, preset: PRESET.name, steps, culprits };
  await mkdir('out', { recursive: true });
  await writeFile(OUTPUT, `${JSON.stringify(json, undefined, 2)}\n`);
  await writeFile(CHAINS_OUTPUT, `${JSON.stringify(await recordChains(network))}\n`);
}

process.exitCode = await main();
