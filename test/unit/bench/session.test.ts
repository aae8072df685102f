import { describe, expect, it } from 'vitest';
import type { Job } from '../../bench/job.ts';
import { measureAll } from '../../bench/session.ts';

const baseline = { sample: () => ({ ntt8192Us: 1 }) };
const quiet = { update: () => {} };

function job(name: string, run: () => readonly number[]): Job {
  const figures = [{ name, unit: 'ms', about: '' }] as const;
  return { figures, warmUps: 1, runs: 5, seconds: 1, prepare: () => run };
}

describe('bench session', () => {
  it('a job that fails in a later round loses its figures; all others keep theirs', async () => {
    let runs = 0;
    const failing = job('b', () => {
      if (runs++ === 3) throw new Error('gone');
      return [2];
    });
    const jobs = [job('a', () => [1]), failing, job('c', () => [3])];
    const { measurements, failures } = await measureAll(jobs, baseline, quiet);
    expect(measurements.map(({ figure, median, runs }) => [figure.name, median, runs])).toEqual([
      ['a', 1, 5],
      ['c', 3, 5],
    ]);
    expect(failures).toEqual([{ name: 'b', error: new Error('gone') }]);
    expect(runs, 'it is not called again').toBe(4);
  });

  it('runs that do not count come before the first round, and before each later one if a job wants so', async () => {
    let runs = 0;
    const one: Job = { ...job('a', () => [++runs]), warmUps: 3, warmUpsAgain: 2, runs: 10 };
    const { measurements } = await measureAll([one], baseline, quiet);
    // 4 5 | 8 9 | 12 13 | 16 17 | 20 21
    expect(measurements.map(({ median, runs }) => [median, runs])).toEqual([[12.5, 10]]);
    expect(runs).toBe(21);
  });
});
