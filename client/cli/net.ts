import { type Command, networkOptions } from './command.ts';
import { Session } from './session.ts';
import { table } from './table.ts';

export const net: Command = {
  name: 'net',
  summary: 'start, stop and look at a local network',
  forms: ['up', 'down', 'status'],
  options: networkOptions,
  maxPositionals: 1,

  async run(given, terminal) {
    using session = await Session.open(given, terminal);
    const nodes = await session.client.status();
    const rows = nodes.map((node) => [`${node.party}`, node.address, node.up ? 'up' : 'down', node.phase]);
    return { json: { nodes }, lines: table([['PARTY', 'ADDRESS', 'STATE', 'PHASE'], ...rows]) };
  },
};
