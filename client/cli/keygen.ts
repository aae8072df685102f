import type { GaloisOption } from '../../shared/fhe/galois.ts';
import { DEFAULT_PRESET, presetByName, presets } from '../../shared/fhe/presets.ts';
import { type Command, networkOptions } from './command.ts';
import { duration } from './progress.ts';
import { Session } from './session.ts';

const choices: readonly GaloisOption[] = ['none', 'sum', 'all'];

export const keygen: Command = {
  name: 'keygen',
  summary: 'have the network generate a key that nobody holds',
  forms: ['[--preset NAME] [--galois none|sum|all]'],
  details: [
    'Needs n - t nodes. The public, relinearisation and Galois keys are opened by all of them together, signed, and ' +
      'verified here. If it fails, nothing is left behind and it can be repeated. After Ctrl-C the network may still ' +
      "finish the key: 'kms keys' lists it.",
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
    ...networkOptions,
    timeout: { value: 'SECONDS', help: 'how long to wait', default: '1800' },
  },
  maxPositionals: 0,

  async run(given, terminal) {
    const preset = presetByName(given.required('preset'));
    const galois = choices.find((choice) => choice === given.text('galois')) ?? 'none';
    if (preset.testOnly) terminal.warn(`${preset.name} is for tests only: its keys protect nothing`);
    using session = await Session.open(given, terminal);
    const startedMs = terminal.nowMs();
    const progress = terminal.progress('generating key');
    try {
      const key = await session.client.generateKey({
        preset: preset.name,
        galois,
        timeoutMs: 1000 * (given.integer('timeout', 1, 86_400) ?? 1800),
        onProgress: (phase, done, total) => progress.update(phase, done, total),
      });
      await session.keep(key);
      const ms = Math.round(terminal.nowMs() - startedMs);
      progress.finish();
      return {
        json: { key: key.id, preset: preset.name, galois, bytes: key.certified.length, ms },
        lines: [key.id, `  ${preset.name}, galois ${galois}, certified and verified, in ${duration(ms)}`],
      };
    } finally {
      progress.finish();
    }
  },
};
