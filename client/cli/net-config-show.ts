import { configurationDigest } from '../../shared/network/configuration.ts';
import type { SignedConfiguration } from '../../shared/network/signed-configuration.ts';
import { noble } from '../../shared/noble.ts';
import { toHex } from '../../shared/wire/bytes.ts';
import { type Command, networkFileOptions } from './command.ts';
import { networkPaths, readGrowingChain, readSignedConfiguration } from './network-files.ts';
import {
  changeLines,
  configurationJson,
  configurationLines,
  signingLine,
  signingState,
} from './network-text.ts';
import { anchorsOf } from './pins.ts';

export const netConfigShow: Command = {
  name: 'net config show',
  summary: 'print a configuration, who has signed it and how many signatures it lacks',
  forms: ['[FILE]'],
  details: [
    "FILE is a proposal of 'kms net config propose', signed or not; without it, the network's newest.",
  ],
  options: networkFileOptions,
  maxPositionals: 1,

  async run(given, terminal) {
    const chain = await readGrowingChain(networkPaths(given, terminal), anchorsOf(given, terminal));
    const file = given.positionals[0];
    const signed: SignedConfiguration =
      file === undefined ? chain.newest.signed : await readSignedConfiguration(file);
    const { configuration } = signed;
    chain.checkNext(configuration);
    const state = signingState(chain.governanceFor(configuration.number), signed);
    const digest = configurationDigest(noble, configuration);
    const known = chain.links[configuration.number]?.digest === digest;
    return {
      json: {
        digest,
        isKnown: known,
        ...state,
        signatures: signed.signatures.map(({ key, signature }) => ({
          key: key + 1,
          signature: toHex(signature),
        })),
        configuration: configurationJson(configuration),
      },
      lines: [
        ...configurationLines(configuration),
        `digest       ${digest}`,
        ...changeLines(chain, configuration),
        signingLine(state),
        known ? 'accepted     yes' : 'accepted     not yet',
      ],
    };
  },
};
