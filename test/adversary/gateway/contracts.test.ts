import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { forge } from '../../../infra/build/forge.ts';
import { type MutableContracts, mutableContracts, type Rule } from './mutants.ts';
import { redundant } from './redundant.ts';

/**
 * Every check of the contracts is taken out, one at a time, and some forge test must notice. All of them take minutes, so
 * a plain run tries one in eight; with ALL_RULES=1 it tries them all.
 */
const STRIDE = process.env.ALL_RULES === '1' ? 1 : 8;
const PATIENCE_MS = 3_600_000;
const WITHOUT = ['--no-match-contract', 'Gas|Invariants'];

let contracts: MutableContracts;

async function isNoticed(rule: number): Promise<boolean> {
  const args = ['test', '--fail-fast', '--fuzz-runs', '8', '--fuzz-seed', '1', ...WITHOUT];
  const { code, output } = await forge(args, {
    directory: join(contracts.root, 'gateway'),
    environment: { MUTANT: String(rule) },
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  // A copy that does not compile would fail as well.
  if (!output.includes('Suite result')) throw new Error(`forge ran no test:\n${output}`);
  return code !== 0;
}

const nameOf = ({ file, check }: Rule): string => `${file}: ${check.replaceAll(/\s+/g, ' ')}`;

beforeAll(() => {
  contracts = mutableContracts();
});

afterAll(() => {
  contracts?.[Symbol.dispose]();
});

test(
  'contracts: with every check in place the tests pass',
  async () => {
    expect(await isNoticed(0)).toBe(false);
  },
  PATIENCE_MS,
);

test(
  'contracts: without any one check a test fails',
  async () => {
    const unnoticed: string[] = [];
    for (const rule of contracts.rules) {
      if (rule.number % STRIDE !== 0 || redundant.has(nameOf(rule))) continue;
      if (!(await isNoticed(rule.number))) unnoticed.push(nameOf(rule));
    }
    expect(unnoticed).toEqual([]);
  },
  PATIENCE_MS,
);

test('contracts: what is listed as redundant is there', () => {
  const names = new Set(contracts.rules.map(nameOf));
  expect([...redundant.keys()].filter((name) => !names.has(name))).toEqual([]);
});
