import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeAbiParameters, type Hex, keccak256, toHex } from 'viem';
import { beforeAll, describe, expect, test } from 'vitest';
import { contracts } from '../../../infra/build/contracts.ts';
import { forge } from '../../../infra/build/forge.ts';

const README = join(import.meta.dirname, '../../../gateway/README.md');
const TESTS = join(import.meta.dirname, '../../../gateway/test');
const SAMPLES = join(import.meta.dirname, '../../../gateway/contracts/sample');
/** What only another contract of the network or of the host chain may call; README says so below its table. */
const BY_CONTRACTS = [
  ...['AccessControl.admit', 'AccessControl.publishFor', 'AccessControl.register'],
  ...['Registry.activateEpoch', 'Registry.approve'],
];
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
    const stated = gasTable();
    const measured = gasOf(results);
    expect(measured.size).toBeGreaterThan(15);
    expect([...stated.keys()].sort()).toEqual([...measured.keys()].sort());
    for (const [name, gas] of measured) {
      expect(Math.abs((stated.get(name) ?? 0) - gas) / gas, `${name}: ${gas}`).toBeLessThan(0.02);
    }
  });

  test(
    'contracts: the gas table of the README has every call that changes state',
    () => {
      const rows = new Set([...gasTable().keys()].map((row) => row.split(',')[0]));
      expect(stateChanging().length).toBeGreaterThan(50);
      const missing = stateChanging().filter((call) => !rows.has(call));
      expect(missing.sort()).toEqual(BY_CONTRACTS);
    },
    PATIENCE_MS,
  );
});

/** Every function of the deployed contracts, but samples, that a transaction can change something by; inherited ones too. */
function stateChanging(): readonly string[] {
  const samples = readdirSync(SAMPLES);
  return contracts()
    .filter(({ name }) => !samples.includes(`${name}.sol`))
    .flatMap(({ name, abi }) =>
      abi.flatMap((item) =>
        item.type === 'function' && ['nonpayable', 'payable'].includes(item.stateMutability)
          ? [`${name}.${item.name}`]
          : [],
      ),
    );
}

/** The rows of README's gas table. */
function gasTable(): ReadonlyMap<string, number> {
  const rows = [...readFileSync(README, 'utf8').matchAll(/^\| ([^|]+) \| ([\d,]+) \|$/gm)];
  return new Map(rows.map(([, name, gas]) => [name ?? '', Number(gas?.replaceAll(',', ''))]));
}

/** What the gas tests of gateway/test logged, by name. */
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
