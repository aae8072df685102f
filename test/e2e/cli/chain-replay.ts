import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Abi, decodeEventLog, type Hex, toFunctionSelector } from 'viem';
import { contracts as compiledContracts } from '../../../infra/build/contracts.ts';
import type { ChainRecord } from '../../../infra/local/demo/chain-record.ts';

const README = join(import.meta.dirname, '../../../gateway/README.md');
/** By their names in a local network's state. */
const compiledNames: Readonly<Record<string, string>> = {
  registry: 'Registry',
  keys: 'Keys',
  ciphertexts: 'Ciphertexts',
  decryptions: 'Decryptions',
  verifier: 'KmsVerifier',
  keyring: 'Keyring',
  accessControl: 'AccessControl',
  submitters: 'Submitters',
  compute: 'Compute',
  oracle: 'DecryptionOracle',
};

/** One event of the network's contracts. */
export interface Replayed {
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
}

/** One transaction, as the contracts' sources tell it. */
export interface ReplayedTransaction {
  /** `Contract.function`; undefined for one that goes to a contract which is not the network's. */
  readonly call: string | undefined;
  readonly events: readonly Replayed[];
}

/** A row of the table "Operations, commands, events". */
export interface Row {
  readonly operation: string;
  /** Names of functions; `Registry.*` stands for all of that contract. */
  readonly calls: readonly string[];
  readonly events: readonly string[];
}

/** The table in gateway/README.md. */
export function operationsTable(): readonly Row[] {
  const text = readFileSync(README, 'utf8');
  const section = text.slice(text.indexOf('## Operations, commands, events')).split('\n## ')[0] ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| operation'));
  return rows.map((line) => {
    const [, operation = '', calls = '', events = ''] = line.split('|').map((cell) => cell.trim());
    const named = (cell: string): readonly string[] =>
      [...cell.matchAll(/`([A-Za-z.*]+)`/g)].map((m) => m[1]!);
    return { operation, calls: named(calls), events: named(events) };
  });
}

export function replay({ contracts, transactions }: ChainRecord): readonly ReplayedTransaction[] {
  const abis = new Map<string, { readonly name: string; readonly abi: Abi }>();
  for (const [key, address] of Object.entries(contracts)) {
    const name = compiledNames[key];
    const compiled = compiledContracts().find((one) => one.name === name);
    if (name === undefined || compiled === undefined) throw new Error(`what is ${key}?`);
    abis.set(address, { name, abi: compiled.abi });
  }
  return transactions.map(({ to, selector, logs }) => {
    const called = to === null ? undefined : abis.get(to);
    const call = called && `${called.name}.${functionOf(called.abi, selector)}`;
    const events = logs.flatMap(({ address, topics, data }) => {
      const by = abis.get(address);
      if (by === undefined) return [];
      const [signature, ...rest] = topics;
      const { eventName, args } = decodeEventLog({ abi: by.abi, topics: [signature!, ...rest], data });
      return [{ name: eventName ?? '', args: (args ?? {}) as Readonly<Record<string, unknown>> }];
    });
    return { call, events };
  });
}

function functionOf(abi: Abi, selector: Hex): string {
  const found = abi.find((item) => item.type === 'function' && toFunctionSelector(item) === selector);
  return found?.type === 'function' ? found.name : selector;
}
