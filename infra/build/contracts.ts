import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Abi } from 'viem';
import { forge } from './forge.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const SOURCES = join(root, 'gateway/contracts');

/** Compiled contracts, git-ignored: what local chains deploy from. */
export const CONTRACTS: string = join(root, 'gateway/generated/contracts');

/** A contract as chains and their clients need it. */
export interface CompiledContract {
  readonly name: string;
  readonly abi: Abi;
  /** Creation code, without constructor arguments. */
  readonly bytecode: `0x${string}`;
  /** Where each immutable of the runtime code lies; zero there. */
  readonly runtime: `0x${string}`;
  readonly storage: readonly StorageVariable[];
}

/** A variable in storage, as the compiler laid it out. */
export interface StorageVariable {
  readonly name: string;
  readonly slot: number;
  readonly offset: number;
  readonly type: string;
}

interface CompilerOutput {
  readonly errors?: readonly { readonly severity: string; readonly formattedMessage: string }[];
  readonly contracts?: Readonly<Record<string, Readonly<Record<string, ContractOutput>>>>;
}

interface ContractOutput {
  readonly abi: Abi;
  readonly evm: {
    readonly bytecode: { readonly object: string };
    readonly deployedBytecode: { readonly object: string };
  };
  readonly storageLayout: {
    readonly storage: readonly { label: string; slot: string; offset: number; type: string }[];
    readonly types: Readonly<Record<string, { readonly label: string }>> | null;
  };
}

/** The settings of gateway/foundry.toml; no metadata, so that the bytes depend on nothing but the code. */
const settings = {
  evmVersion: 'cancun',
  optimizer: { enabled: true, runs: 200 },
  metadata: { appendCBOR: false, bytecodeHash: 'none' },
  outputSelection: {
    '*': { '*': ['abi', 'evm.bytecode.object', 'evm.deployedBytecode.object', 'storageLayout'] },
  },
};

/** Contracts that are deployed; libraries are inlined. */
const deployed: readonly string[] = [
  ...['Registry', 'Keys', 'Ciphertexts', 'Decryptions', 'Evidence'],
  ...['KmsVerifier', 'Keyring', 'AccessControl', 'Submitters', 'Compute', 'DecryptionOracle'],
  'ConfidentialTally',
];

const require = createRequire(import.meta.url);

/** Compiled anew only if a source, the compiler or a setting changed. @throws {Error} with the compiler's words */
export function contracts(directory: string = CONTRACTS): readonly CompiledContract[] {
  const file = join(directory, 'contracts.json');
  const from = inputDigest();
  if (existsSync(file)) {
    const known: { readonly from: string; readonly contracts: readonly CompiledContract[] } = JSON.parse(
      readFileSync(file, 'utf8'),
    );
    if (known.from === from) return known.contracts;
  }
  const made = compileContracts();
  mkdirSync(directory, { recursive: true });
  writeFileSync(`${file}.tmp`, `${JSON.stringify({ from, contracts: made })}\n`);
  renameSync(`${file}.tmp`, file);
  return made;
}

/** Contract => its variables: frozen, since enclaves prove slots by these numbers. */
export function storageLayouts(): Readonly<Record<string, readonly StorageVariable[]>> {
  return Object.fromEntries(contracts().map(({ name, storage }) => [name, storage]));
}

/** @throws {Error} with the compiler's words, for warnings too */
export function compileContracts(): readonly CompiledContract[] {
  const readImport = (path: string): object =>
    path.startsWith('@openzeppelin/')
      ? { contents: readFileSync(require.resolve(path), 'utf8') }
      : { error: `${path} is outside gateway/contracts` };
  const solc: { compile(input: string, callbacks: object): string } = require('solc');
  const output: CompilerOutput = JSON.parse(solc.compile(compilerInput(), { import: readImport }));
  const faults = (output.errors ?? []).filter(({ severity }) => severity !== 'info');
  if (faults.length > 0) throw new Error(faults.map(({ formattedMessage }) => formattedMessage).join('\n'));
  const all = new Map(Object.values(output.contracts ?? {}).flatMap((file) => Object.entries(file)));
  return deployed.map((name) => {
    const contract = all.get(name);
    if (contract === undefined) throw new Error(`no contract ${name} in ${SOURCES}`);
    return compiledContract(name, contract);
  });
}

function compiledContract(name: string, { abi, evm, storageLayout }: ContractOutput): CompiledContract {
  return {
    name,
    abi,
    bytecode: `0x${evm.bytecode.object}`,
    runtime: `0x${evm.deployedBytecode.object}`,
    storage: storageLayout.storage.map(({ label, slot, offset, type }) => ({
      name: label,
      slot: Number(slot),
      offset,
      type: storageLayout.types?.[type]?.label ?? type,
    })),
  };
}

function compilerInput(): string {
  const files = readdirSync(SOURCES, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.sol'))
    .map((entry) => relative(SOURCES, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort();
  const sources = Object.fromEntries(
    files.map((path) => [`contracts/${path}`, { content: readFileSync(join(SOURCES, path), 'utf8') }]),
  );
  return JSON.stringify({ language: 'Solidity', sources, settings });
}

function inputDigest(): string {
  const versions = ['solc', '@openzeppelin/contracts'].map((name) =>
    readFileSync(require.resolve(`${name}/package.json`)),
  );
  const hash = createHash('sha256').update(compilerInput()).update(deployed.join());
  for (const version of versions) hash.update(version);
  return hash.digest('hex');
}

/** Compiles; with --test runs forge's tests as well, with the arguments that follow. */
if (import.meta.main) {
  contracts();
  const [flag, ...args] = process.argv.slice(2);
  if (flag === '--test') {
    const { code, output } = await forge(['test', ...args]);
    process.stdout.write(output);
    process.exitCode = code ?? 1;
  }
}
