import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';

/** A check of a contract that can be taken out. */
export interface Rule {
  readonly number: number;
  /** From gateway/contracts. */
  readonly file: string;
  /** The condition, as the source has it. */
  readonly check: string;
}

export interface MutableContracts extends Disposable {
  /** A repository of its own with gateway/ in it. */
  readonly root: string;
  readonly rules: readonly Rule[];
}

const ROOT = join(import.meta.dirname, '../../..');

/** Rule k is off while this account has a balance: a compiled copy serves every mutant. */
const SWITCH = `// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

library Mutant {
    address internal constant FIRST = address(0x4D7574616E7400000000);

    function off(uint256 rule) internal pure returns (bool isOff) {
        function(uint256) internal view returns (bool) ask = balance;
        function(uint256) internal pure returns (bool) asPure;
        assembly ("memory-safe") {
            asPure := ask
        }
        return asPure(rule);
    }

    function balance(uint256 rule) private view returns (bool) {
        return address(uint160(FIRST) + uint160(rule)).balance != 0;
    }
}
`;

/**
 * A copy of the contracts and their tests in which each check is under a switch: every \`if (...) revert\`, and every part of
 * a conjunction that such a check asks for. The environment variable MUTANT names the rule that is off.
 */
export function mutableContracts(): MutableContracts {
  const root = mkdtempSync(join(tmpdir(), 'kms-mutants-'));
  const copy = (path: string): void => cpSync(join(ROOT, path), join(root, path), { recursive: true });
  for (const path of [
    'gateway/contracts',
    'gateway/test',
    'gateway/foundry.toml',
    'infra/build',
    'test/vectors/gateway',
  ]) {
    copy(path);
  }
  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
  const contracts = join(root, 'gateway/contracts');
  const rules: Rule[] = [];
  for (const entry of readdirSync(contracts, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.sol')) continue;
    const path = join(entry.parentPath, entry.name);
    const file = relative(contracts, path);
    const source = readFileSync(path, 'utf8');
    const take = (check: string): number => rules.push({ number: rules.length + 1, file, check });
    const changed = withSwitches(source, take);
    if (changed === source) continue;
    const from = relative(dirname(path), join(contracts, 'Mutant.sol'));
    const imported = `import {Mutant} from "${from.startsWith('.') ? from : `./${from}`}";`;
    writeFileSync(
      path,
      changed.replace(/^pragma .*$/m, (line) => `${line}\n${imported}`),
    );
  }
  writeFileSync(join(contracts, 'Mutant.sol'), SWITCH);
  const settings = join(root, 'gateway/foundry.toml');
  // The switches make the contracts larger than a chain would take.
  writeFileSync(
    settings,
    readFileSync(settings, 'utf8').replace('offline = true', (line) => `${line}\ncode_size_limit = 200000`),
  );
  const vm = join(root, 'gateway/test/Vm.sol');
  const reading = `
    constructor() {
        uint256 rule = vm.envOr("MUTANT", uint256(0));
        vm.deal(address(uint160(0x4D7574616E7400000000) + uint160(rule)), 1);
    }
`;
  writeFileSync(
    vm,
    readFileSync(vm, 'utf8')
      .replace(
        'interface Vm {',
        'interface Vm {\n    function envOr(string calldata name, uint256 other) external view returns (uint256);',
      )
      .replace('bool public IS_TEST = true;', (line) => `${line}\n${reading}`),
  );
  return { root, rules, [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }) };
}

function withSwitches(source: string, take: (check: string) => number): string {
  let out = '';
  let at = 0;
  for (const match of source.matchAll(/\bif \(/g)) {
    const start = match.index + match[0].length;
    const end = closing(source, start);
    if (match.index < at || !/^\)\s*(?:\{\s*)?revert\b/.test(source.slice(end))) continue;
    const check = source.slice(start, end);
    out += `${source.slice(at, start)}!Mutant.off(${take(check)}) && (${check})`;
    at = end;
  }
  out += source.slice(at);
  return out.replace(
    /\b((?:bool )?is(?:Right|Good|OneRequest) = )([^;]+);/g,
    (_, head: string, conjunction: string) => {
      const parts = conjunction.split(' && ');
      // The first name of a continued conjunction is what was asked before.
      const switched = parts.map((part) =>
        /^is\w+$/.test(part) ? part : `(Mutant.off(${take(part)}) || (${part}))`,
      );
      return `${head}${switched.join(' && ')};`;
    },
  );
}

/** Index of the parenthesis that closes the one before `start`. */
function closing(source: string, start: number): number {
  let depth = 1;
  for (let i = start; i < source.length; i++) {
    if (source[i] === '(') depth++;
    if (source[i] === ')') depth--;
    if (depth === 0) return i;
  }
  throw new Error('unbalanced parentheses');
}
