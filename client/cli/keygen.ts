import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { KmsError } from '../../shared/errors.ts';
import type { GaloisOption } from '../../shared/fhe/galois.ts';
import { DEFAULT_PRESET, presetByName, presets } from '../../shared/fhe/presets.ts';
import type { Wallet } from '../gateway/wallet.ts';
import { readWallet } from './account-file.ts';
import type { Arguments } from './arguments.ts';
import type { Command } from './command.ts';
import { accountFile, GatewaySession, gatewayOptions } from './gateway-session.ts';
import { duration } from './progress.ts';
import type { Terminal } from './terminal.ts';

const choices: readonly GaloisOption[] = ['none', 'sum', 'all'];

export const keygen: Command = {
  name: 'keygen',
  summary: 'have the network generate a key that nobody holds',
  forms: ['[--preset NAME] [--galois none|sum|all] [--operator FILE]...'],
  details: [
    'Operators command it on the gateway: n - floor((n-1)/3) of their accounts must send the same call, from here or from ' +
      'elsewhere at the same time. The nodes make the key, which is then activated and told to every host chain; a preset has one ' +
      'active key.',
    'Needs n - t nodes. The public, relinearisation and Galois keys are opened by all of them together, signed, and ' +
      'verified here. What was commanded goes on after Ctrl-C, and approvals that were given still count.',
    'Galois keys rotate the slots of vectors: sum, only what adds up all slots; all, every rotation. They take most of ' +
      'the time and bytes.',
  ],
  options: {
    preset: {
      value: 'NAME',
      help: 'parameters',
      default: DEFAULT_PRESET,
      choices: presets.map(({ name }) => name),
    },
    galois: { value: 'WHICH', help: 'Galois keys', default: 'none', choices },
    operator: {
      value: 'FILE',
      help: "key of an operator's account (default: all accounts/operator-*.key of the state directory)",
      repeatable: true,
    },
    ...gatewayOptions,
    timeout: { value: 'SECONDS', help: 'how long to wait for each step', default: '1800' },
  },
  maxPositionals: 0,

  async run(given, terminal) {
    const preset = presetByName(given.required('preset'));
    const galois = choices.find((choice) => choice === given.text('galois')) ?? 'none';
    if (preset.testOnly) terminal.warn(`${preset.name} is for tests only: its keys protect nothing`);
    const operators = await operatorsOf(given, terminal);
    const startedMs = terminal.nowMs();
    using session = await GatewaySession.open(given, terminal, 'generating key');
    const key = await session.client.generateKey({ operators, preset: preset.name, galois });
    await session.session.keep(key);
    const ms = Math.round(terminal.nowMs() - startedMs);
    return {
      json: { key: key.id, preset: preset.name, galois, bytes: key.certified.length, ms },
      lines: [
        key.id,
        `  ${preset.name}, galois ${galois}, certified, verified and active, in ${duration(ms)}`,
      ],
    };
  },
};

/** @throws {KmsError} BAD_INPUT without any, or for a file that is no key */
async function operatorsOf(given: Arguments, terminal: Terminal): Promise<readonly Wallet[]> {
  const named = given.texts('operator');
  const files =
    named.length > 0 ? named : await operatorFiles(dirname(accountFile(given, terminal, 'operator-1')));
  return Promise.all(files.map(readWallet));
}

async function operatorFiles(directory: string): Promise<readonly string[]> {
  const names = await readdir(directory).catch((): string[] => []);
  const found = names.filter((name) => /^operator-\d+\.key$/.test(name)).sort();
  if (found.length > 0) return found.map((name) => join(directory, name));
  throw new KmsError(
    'BAD_INPUT',
    `there is no operator's key in ${directory}; name the files with --operator`,
  );
}
