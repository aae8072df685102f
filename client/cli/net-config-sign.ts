import { configurationDigest } from '../../shared/network/configuration.ts';
import { encodeSignedConfiguration, signConfiguration } from '../../shared/network/signed-configuration.ts';
import { noble } from '../../shared/noble.ts';
import { type Command, networkFileOptions } from './command.ts';
import { writeOutput } from './file.ts';
import { readGovernanceKey } from './governance-key-file.ts';
import { networkPaths, readGrowingChain, readSignedConfiguration } from './network-files.ts';
import { changeLines, configurationLines, signingLine, signingState } from './network-text.ts';
import { anchorsOf } from './pins.ts';

export const netConfigSign: Command = {
  name: 'net config sign',
  summary: "add an operator's signature to a proposed configuration",
  forms: ['FILE --key KEY [-o FILE]'],
  details: [
    'Checks the proposal against the genesis and the configurations before it, prints what it changes, and signs it. ' +
      'Never sign two different configurations of one number: the network stops when it sees both.',
  ],
  options: {
    key: { value: 'FILE', help: "secret key of 'kms net governance-keygen'" },
    out: { value: 'FILE', short: 'o', help: 'where the signed proposal goes (default: FILE itself)' },
    ...networkFileOptions,
  },
  maxPositionals: 1,

  async run(given, terminal) {
    const file = given.positional(0, 'the file of the proposal');
    const out = given.text('out') ?? file;
    const chain = await readGrowingChain(networkPaths(given, terminal), anchorsOf(given, terminal));
    const proposal = await readSignedConfiguration(file);
    const { configuration } = proposal;
    chain.checkNext(configuration);
    const governance = chain.governanceFor(configuration.number);
    const signed = signConfiguration(
      noble,
      await readGovernanceKey(given.required('key')),
      governance,
      proposal,
    );
    await writeOutput(out, encodeSignedConfiguration(signed));
    const state = signingState(governance, signed);
    const digest = configurationDigest(noble, configuration);
    return {
      json: { file: out, number: configuration.number, digest, ...state },
      lines: [
        ...configurationLines(configuration),
        `digest       ${digest}`,
        ...changeLines(chain, configuration),
        signingLine(state),
      ],
    };
  },
};
