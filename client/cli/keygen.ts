import type { GaloisOption } from '../../shared/fhe/galois.ts';
import { DEFAULT_PRESET, presetByName, presets } from '../../shared/fhe/presets.ts';
import type { Command } from './command.ts';
import { GatewaySession, gatewayOptions, operatorOptions, operatorsOf } from './gateway-session.ts';
import { duration } from './progress.ts';

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
    ...operatorOptions,
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
