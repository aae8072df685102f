import { type Command, networkOptions } from './command.ts';
import { Session } from './session.ts';
import { table } from './table.ts';

export const keys: Command = {
  name: 'keys',
  summary: 'list the keys of the network',
  forms: [''],
  details: [
    'Each key is fetched once, its n - t signatures are verified, and it is kept in the state directory.',
  ],
  options: networkOptions,
  maxPositionals: 0,

  async run(given, terminal) {
    using session = await Session.open(given, terminal);
    const listed = [];
    for (const id of await session.client.listKeys()) {
      const { preset, record } = await session.key(id);
      const { epoch, request } = record;
      listed.push({ key: id, preset: preset.name, galois: request.galois, epoch, testOnly: preset.testOnly });
    }
    const rows = listed.map(({ key, preset, galois, epoch }) => [key, preset, galois, `${epoch}`]);
    return {
      json: { keys: listed },
      lines:
        rows.length === 0
          ? ["no keys yet; 'kms keygen' makes one"]
          : table([['KEY', 'PRESET', 'GALOIS', 'EPOCH'], ...rows]),
    };
  },
};
