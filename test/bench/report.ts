import { table } from '../../client/cli/table.ts';
import type { BaselineSample } from './baseline.ts';
import type { Machine } from './machine.ts';
import type { Measurement } from './session.ts';

/** What out/bench.json holds. */
export interface Report {
  readonly machine: Machine;
  readonly baseline: BaselineSample;
  readonly results: readonly {
    readonly name: string;
    readonly unit: string;
    readonly median: number;
    readonly runs: number;
  }[];
}

export function reportOf(
  machine: Machine,
  baseline: BaselineSample,
  measurements: readonly Measurement[],
): Report {
  const results = measurements.map(({ figure: { name, unit }, median, runs }) => ({
    name,
    unit,
    median,
    runs,
  }));
  return { machine, baseline, results };
}

/** The same for people: every figure beside its target and in NTTs. */
export function reportLines(report: Report, measurements: readonly Measurement[]): readonly string[] {
  const { machine, baseline } = report;
  const rows = measurements.map(({ figure, median, runs, ntt8192Us }) => [
    figure.name,
    grouped(median),
    figure.unit,
    figure.target === undefined ? '' : `<= ${figure.target}`,
    figure.target === undefined ? '' : median <= figure.target ? 'reached' : 'MISSED',
    inNtts(figure.unit, median, ntt8192Us),
    String(runs),
    figure.about,
  ]);
  return [
    `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, commit ${machine.commit.slice(0, 12)}`,
    `baseline: AES-256-CTR ${baseline.aesCtrMBps} MB/s, one NTT (N = 8192) ${baseline.ntt8192Us} us`,
    '',
    ...table([['NAME', 'MEDIAN', 'UNIT', 'TARGET', '', 'NTTS', 'RUNS', 'WHAT'], ...rows]),
  ];
}

const MICROSECONDS = { us: 1, ms: 1e3, s: 1e6 } as const;

function inNtts(unit: Measurement['figure']['unit'], median: number, ntt8192Us: number): string {
  if (unit === 'bytes' || unit === 'percent' || unit === 'count') return '';
  const ratio = (median * MICROSECONDS[unit]) / ntt8192Us;
  return ratio >= 100 ? grouped(Math.round(ratio)) : String(Number(ratio.toPrecision(2)));
}

function grouped(value: number): string {
  return value >= 1e4 ? value.toLocaleString('en-US') : String(value);
}
