import { KmsError } from '../../shared/errors.ts';
import { encodeConfigurations } from '../../shared/network/configuration-file.ts';
import { type Command, networkFileOptions } from './command.ts';
import { writeOutput } from './file.ts';
import { networkPaths, readGrowingChain, readSignedConfiguration } from './network-files.ts';
import { anchorsOf } from './pins.ts';

export const netConfigApply: Command = {
  name: 'net config apply',
  summary: "add a completely signed configuration to the network's file",
  forms: ['FILE'],
  details: [
    "Nodes are given it with 'kms node join', those of a network on this machine by 'kms net up'; where there is a gateway they take " +
      "it once 'kms net config publish' has put it on its chain. Clients read the file.",
  ],
  options: networkFileOptions,
  maxPositionals: 1,

  async run(given, terminal) {
    const file = given.positional(0, 'the file of the configuration');
    const paths = networkPaths(given, terminal);
    const chain = (await readGrowingChain(paths, anchorsOf(given, terminal))).extend(
      await readSignedConfiguration(file),
    );
    if (chain.conflict !== undefined) {
      const { number } = chain.conflict.configuration;
      throw new KmsError(
        'CONFLICT',
        `${file} is a rival of the network's configuration ${number}, as validly signed`,
      );
    }
    await writeOutput(paths.configurations, encodeConfigurations(chain.links.map(({ signed }) => signed)));
    const { digest, signed } = chain.newest;
    const { number, activationBlock } = signed.configuration;
    return {
      json: { file: paths.configurations, number, digest, activationBlock },
      lines: [`configuration ${number} is in ${paths.configurations}; valid from block ${activationBlock}`],
    };
  },
};
