import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeAbiParameters, type Hex, keccak256, toHex } from 'viem';
import { beforeAll, describe, expect, test } from 'vitest';
import { forge } from '../../../infra/build/forge.ts';

const README = join(import.meta.dirname, '../../../gateway/README.md');
const TESTS = join(import.meta.dirname, '../../../gateway/test');
/** The compiler is WebAssembly and takes its time on a busy machine. */
const PATIENCE_MS = 900_000;

interface Outcome {
  readonly status: 'Success' | 'Failure' | 'Skipped';
  readonly reason: string | null;
  readonly logs: readonly { readonly topics: readonly Hex[]; readonly data: Hex }[];
}

type Report = Readonly<Record<string, { readonly test_results: Readonly<Record<string, Outcome>> }>>;

const results = new Map<string, Outcome>();

beforeAll(async () => {
  const { output } = await forge(['test', '--json', '-vv', '--fuzz-seed', '1'], {
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
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
    const gas = gasOf(results).get('KmsVerifier.verify, 9 of 13');
    expect(gas).toBeGreaterThan(50_000);
    expect(Number(gas) - 21_000).toBeLessThanOrEqual(90_000);
  });

  test('contracts: the gas table of the README is what was measured, within two in a hundred', () => {
    const table = [...readFileSync(README, 'utf8').matchAll(/^\| ([^|]+) \| ([\d,]+) \|$/gm)];
    const stated = new Map(table.map(([, name, gas]) => [name ?? '', Number(gas?.replaceAll(',', ''))]));
    const measured = gasOf(results);
    expect(measured.size).toBeGreaterThan(15);
    expect([...stated.keys()].sort()).toEqual([...measured.keys()].sort());
    for (const [name, gas] of measured) {
      expect(Math.abs((stated.get(name) ?? 0) - gas) / gas, `${name}: ${gas}`).toBeLessThan(0.02);
    }
  });
});

/** What gateway/test/Gas.t.sol logged, by name. */
function gasOf(of: ReadonlyMap<string, Outcome>): ReadonlyMap<string, number> {
  const named = keccak256(toHex('log_named_uint(string,uint256)'));
  const logs = [...of.values()].flatMap(({ logs }) => logs.filter(({ topics }) => topics[0] === named));
  return new Map(
    logs.map(({ data }) => {
      const [name, gas] = decodeAbiParameters([{ type: 'string' }, { type: 'uint256' }], data);
      return [name, Number(gas)];
    }),
  );
}
