import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Figure, type Job, median, type Run } from './job.ts';

/** The median of `runs` warm runs. */
export interface Measurement {
  readonly figure: Figure;
  readonly median: number;
  readonly runs: number;
  /** Median of the NTT baseline right after this job's runs. */
  readonly ntt8192Us: number;
}

/** The runs of all jobs are spread over this many rounds: a slow minute of the machine touches all jobs alike. */
const ROUNDS = 5;

/** A sample of what no change of this project touches. */
interface Sampled {
  sample(): { readonly ntt8192Us: number };
}

interface Progress {
  update(phase: string, done: number, total: number): void;
}

export interface Session {
  readonly measurements: readonly Measurement[];
  /** Jobs that could not be measured; they have no figures. */
  readonly failures: readonly { readonly name: string; readonly error: unknown }[];
}

/**
 * Runs every job round by round, in the order given, with a sample of the baseline after each block. A job that fails ends; the
 * others go on.
 */
export async function measureAll(
  jobs: readonly Job[],
  baseline: Sampled,
  progress: Progress,
): Promise<Session> {
  const records = jobs.map((job) => new JobRecord(job));
  const total = jobs.reduce((sum, { seconds }) => sum + seconds, 0);
  const failed = new Map<JobRecord, unknown>();
  let done = 0;
  for (let round = 0; round < ROUNDS; round++) {
    for (const record of records) {
      if (failed.has(record)) continue;
      progress.update(record.name, done, total);
      try {
        done += await record.block(round, baseline);
      } catch (error) {
        failed.set(record, error);
      }
    }
  }
  return {
    measurements: records.flatMap((record) => (failed.has(record) ? [] : record.measurements)),
    failures: [...failed].map(([{ name }, error]) => ({ name, error })),
  };
}

class JobRecord {
  readonly #job: Job;
  readonly #values: number[][];
  readonly #ntts: number[] = [];
  #run: Run | undefined;

  constructor(job: Job) {
    this.#job = job;
    this.#values = job.figures.map(() => []);
  }

  get name(): string {
    return this.#job.figures[0]?.name ?? '';
  }

  get measurements(): readonly Measurement[] {
    const ntt8192Us = median(this.#ntts);
    return this.#job.figures.map((figure, i) => {
      const values = this.#values[i] ?? [];
      return { figure, median: significant(median(values)), runs: values.length, ntt8192Us };
    });
  }

  /** The runs of one round. @returns the part of the job's rough seconds that they stand for */
  async block(round: number, baseline: Sampled): Promise<number> {
    const { runs, warmUps, warmUpsAgain = 0, seconds } = this.#job;
    const count = Math.ceil((runs * (round + 1)) / ROUNDS) - Math.ceil((runs * round) / ROUNDS);
    if (count === 0) return 0;
    const run = this.#run ?? this.#job.prepare();
    const uncounted = this.#run === undefined ? warmUps : warmUpsAgain;
    this.#run = run;
    if (warmUpsAgain > 0) collectGarbage();
    for (let i = 0; i < uncounted; i++) await run();
    for (let i = 0; i < count; i++) {
      const values = await run();
      for (const [figure, value] of values.entries()) this.#values[figure]?.push(value);
    }
    this.#ntts.push(baseline.sample().ntt8192Us);
    return (seconds * count) / runs;
  }
}

/** That of the jobs before: whoever collects it meanwhile keeps the processes that are measured waiting. It also forgets compiled code. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect === 'function') collect();
}

/** Four digits are more than the machine is good for. */
function significant(value: number): number {
  return value >= 1000 ? Math.round(value) : Number(value.toPrecision(4));
}
