import { decodeGenesis, MAX_GENESIS_BYTES, networkIdOf } from '../../shared/network/genesis.ts';
import { noble } from '../../shared/noble.ts';
import { toHex } from '../../shared/wire/bytes.ts';
import { describeNode } from '../node-admin.ts';
import { type Command, networkFileOptions } from './command.ts';
import { readInput } from './file.ts';

export const nodeShow: Command = {
  name: 'node show',
  summary: 'ask a node who it is: what its operator writes into the first configuration',
  forms: ['HOST:PORT [--genesis FILE]'],
  details: ['A node that has joined a network answers only to those who have the genesis.'],
  options: { genesis: networkFileOptions.genesis! },
  maxPositionals: 1,

  async run(given) {
    const address = given.positional(0, 'the address of the node');
    const genesis = given.text('genesis');
    const networkId =
      genesis === undefined
        ? undefined
        : networkIdOf(noble, decodeGenesis(await readInput(genesis, 'the genesis', MAX_GENESIS_BYTES)));
    const card = await describeNode({ identity: undefined, addresses: [address] }, networkId);
    const identity = toHex(card.identity);
    const { network, phase, reason } = card;
    const bootKey = toHex(card.bootKey);
    return {
      json: { address, identity, bootKey, phase, reason, network },
      lines: [
        `identity     ${identity}`,
        `boot key     ${bootKey}`,
        `phase        ${phase}${reason === '' ? '' : `: ${reason}`}`,
        network === undefined
          ? 'network      none'
          : `network      ${network.networkId}, party ${network.party}, configuration ${network.configuration.number}`,
      ],
    };
  },
};
