import { KmsError } from '../../shared/errors.ts';
import { MAX_PARTIES } from '../../shared/ids.ts';
import { toHex } from '../../shared/wire/bytes.ts';
import { joinNode } from '../node-admin.ts';
import { type Command, networkFileOptions } from './command.ts';
import { knownBlock } from './gateway-block.ts';
import { networkPaths, readGrowingChain } from './network-files.ts';
import { anchorsOf } from './pins.ts';

export const nodeJoin: Command = {
  name: 'node join',
  summary: "give a node its network, or its network's later configurations",
  forms: ['HOST:PORT [--party P] [--genesis FILE] [--config FILE]'],
  details: [
    'The first genesis that a node is given stays for good: join it before others can reach it. What it has already it ' +
      'takes again; it refuses configurations that do not name it or do not follow the ones it has.',
    'A node whose process has started again knows neither its network nor its number before its storage is open: its parent ' +
      'tells it, and if the parent does not, --party says which member it is. Another number opens nothing.',
  ],
  options: {
    party: { value: 'P', help: 'which member the node is, for one that starts again' },
    ...networkFileOptions,
  },
  maxPositionals: 1,

  async run(given, terminal) {
    const address = given.positional(0, 'the address of the node');
    const chain = await readGrowingChain(networkPaths(given, terminal), anchorsOf(given, terminal));
    if (chain.links.length === 0) {
      throw new KmsError(
        'UNAVAILABLE',
        "the network has no configuration yet; 'kms net config propose' makes one",
      );
    }
    const { identity, party, configuration } = await joinNode(
      { identity: undefined, addresses: [address] },
      chain,
      given.integer('party', 1, MAX_PARTIES),
      await knownBlock(given, terminal, chain.genesis),
    );
    const { networkId } = chain;
    return {
      json: { address, identity: toHex(identity), networkId, party, configuration },
      lines: [
        `${address} is party ${party} of network ${networkId}, in configuration ${configuration}`,
        `identity ${toHex(identity)}`,
      ],
    };
  },
};
