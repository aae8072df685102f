import type { Command } from './command.ts';
import { GatewaySession, gatewayOptions, operatorOptions, operatorsOf } from './gateway-session.ts';

export const netConfigPublish: Command = {
  name: 'net config publish',
  summary: "put the digests of the network's configurations on its gateway chain",
  forms: ['[--operator FILE]...'],
  details: [
    "Nodes accept a configuration once the gateway's registry holds its digest. Those that the network's file has and the registry " +
      'lacks are published in their order; n - floor((n-1)/3) operators must send the same call, from here or from elsewhere. Approvals ' +
      'that were given still count after Ctrl-C.',
  ],
  options: { ...operatorOptions, ...gatewayOptions },
  maxPositionals: 0,

  async run(given, terminal) {
    const operators = await operatorsOf(given, terminal);
    using session = await GatewaySession.open(given, terminal, 'publishing');
    const published = await session.client.publishConfigurations(operators);
    session.finish();
    const lines = published.map(({ number, digest }) => `configuration ${number} is published: ${digest}`);
    return {
      json: { published },
      lines: lines.length > 0 ? lines : ['the gateway has all configurations of the network'],
    };
  },
};
