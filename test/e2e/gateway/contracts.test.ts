import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { forge } from '../../../infra/build/forge.ts';

const TESTS = join(import.meta.dirname, '../../../gateway/test');
/** The compiler is WebAssembly and takes its time on a busy machine. */
const PATIENCE_MS = 900_000;

interface Outcome {
  readonly status: 'Success' | 'Failure' | 'Skipped';
  readonly reason: string | null;
  readonly decoded_logs: readonly string[];
}

type Report = Readonly<Record<string, { readonly test_results: Readonly<Record<string, Outcome>> }>>;

const results = new Map<string, Outcome>();

beforeAll(async () => {
  const { output } = await forge(['test', '--json', '--fuzz-seed', '1'], AbortSignal.timeout(PATIENCE_MS));
  const line = output.split('\n').find((text) => text.startsWith('{'));
  if (line === undefined) throw new Error(`forge gave no report:\n${output}`);
  const report: Report = JSON.parse(line);
  for (const [suite, { test_results }] of Object.entries(report)) {
    const contract = suite.split(':')[1];
    for (const [name, outcome] of Object.entries(test_results)) results.set(`${contract}.${name}`, outcome);
  }
}, PATIENCE_MS);

/** Every test function in the source: one that forge does not run is missed here. */
function declared(): readonly string[] {
  return readdirSync(TESTS)
    .filter((file) => file.endsWith('.t.sol'))
    .flatMap((file) => {
      const parts = readFileSync(join(TESTS, file), 'utf8').split(/^(?:abstract )?contract (\w+)/m);
      return parts.flatMap((name, i) => {
        if (i % 2 === 0) return [];
        return [...(parts[i + 1] ?? '').matchAll(/function ((?:test|invariant)\w*)\(/g)].map(
          ([, f]) => `${name}.${f}`,
        );
      });
    });
}

describe('contracts', () => {
  test.each(declared())('contracts: %s', (name) => {
    const found = [...results].filter(([key]) => key.split('(')[0] === name);
    expect(found.map(([, { status, reason }]) => reason ?? status)).toEqual(['Success']);
  });

  test('contracts: verifying nine signatures costs at most 90,000 gas over the base', () => {
    const logs = [...results.values()].flatMap(({ decoded_logs }) => decoded_logs);
    const gas = logs
      .map((line) => /^KmsVerifier\.verify, 9 of 13: (\d+)/.exec(line)?.[1])
      .find((g) => g !== undefined);
    expect(Number(gas)).toBeGreaterThan(50_000);
    expect(Number(gas) - 21_000).toBeLessThanOrEqual(90_000);
  });
});
