/** One number of out/bench.json. */
export interface Figure {
  readonly name: string;
  readonly unit: 'us' | 'ms' | 's' | 'bytes' | 'percent' | 'count';
  /** What is measured, for the reader of the table. */
  readonly about: string;
  /** What the project aims at, in `unit`. Missing it fails nothing. */
  readonly target?: number;
}

/** One run: a value per figure, in the figures' units. */
export type Run = () => readonly number[] | Promise<readonly number[]>;

/** Work to repeat. */
export interface Job {
  readonly figures: readonly Figure[];
  /** Runs before the first that counts. */
  readonly warmUps: number;
  /**
   * Runs before the first that counts in each later round: other jobs have had the machine in between, and their garbage is collected
   * before; default 0.
   */
  readonly warmUpsAgain?: number;
  readonly runs: number;
  /** Of the whole job, roughly: for the progress bar only. */
  readonly seconds: number;
  /** Makes the inputs; called once, and not at all for a job that is left out. */
  readonly prepare: () => Run;
}

export interface Repetition {
  readonly runs: number;
  /** Calls timed together as one run, so that it takes 5 ms or more; default 1. */
  readonly calls?: number;
  /** Requests that one call serves: the figure is for one of them; default 1. */
  readonly requests?: number;
}

/** What a job of short runs takes. */
const TYPICAL_SECONDS = 1.5;
const PER_SECOND = { us: 1e6, ms: 1e3, s: 1 } as const;

/** A job of one figure, in CPU time. @param prepare makes the inputs and returns what is timed */
export function timed(
  figure: Figure & { readonly unit: keyof typeof PER_SECOND },
  { runs, calls = 1, requests = 1 }: Repetition,
  prepare: () => () => unknown,
): Job {
  return {
    figures: [figure],
    warmUps: Math.ceil(runs / 4),
    runs,
    seconds: TYPICAL_SECONDS,
    prepare: () => {
      const call = prepare();
      return async () => {
        const started = cpuSeconds();
        for (let i = 0; i < calls; i++) {
          const pending = call();
          if (pending instanceof Promise) await pending;
        }
        return [((cpuSeconds() - started) * PER_SECOND[figure.unit]) / (calls * requests)];
      };
    },
  };
}

const never = new Int32Array(new SharedArrayBuffer(4));
const NAP_MS = 0.05;

/**
 * CPU time of all threads of this process. The system brings its count up to date when a thread stops running and
 * otherwise only every few milliseconds, hence the nap.
 */
export function cpuSeconds(): number {
  Atomics.wait(never, 0, 0, NAP_MS);
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

export function wallSeconds(): number {
  return performance.now() / 1000;
}

/** @param values at least one */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
