import { LocalNetwork } from '../../infra/local/network.ts';
import type { ChainStatus } from '../../infra/local/network-gateway.ts';
import type { ProgramStatus } from '../../infra/local/programs/program-processes.ts';
import { KmsError } from '../../shared/errors.ts';
import type { Arguments, Options } from './arguments.ts';
import type { Command, Outcome } from './command.ts';
import { stateDirectory } from './network-files.ts';
import { table } from './table.ts';
import type { Terminal } from './terminal.ts';

const actions = ['up', 'down', 'status'] as const;

const options: Options = {
  state: { value: 'DIR', help: 'state directory of the network (default: $KMS_STATE or .kms)' },
  parties: {
    value: 'N',
    help: 'up: how many nodes of two processes each (default: 4, or those that are there)',
  },
  tolerate: {
    value: 'T',
    help: 'up: how many of them may be corrupt, N >= 3T + 1 (default: as many as possible)',
  },
  erase: { help: 'down: delete the state directory with all keys as well' },
};

export const net: Command = {
  name: 'net',
  summary: 'start, stop and look at a network on this machine',
  forms: ['up [--parties N] [--tolerate T]', 'down [--erase]', 'status'],
  details: [
    'For development: every node is two processes, a mock enclave and its parent, on loopback ports. They run on until ' +
      "'kms net down'; what they know stays in the state directory, and 'kms net up' continues with it.",
    'The chains are processes too, a gateway and two host chains, their contracts deployed and the nodes enrolled; each node has a ' +
      'connector, and three coprocessors and a relayer run. gateway.json in the state directory says where they are, ' +
      'accounts/ has keys of accounts with play money.',
  ],
  options,
  maxPositionals: 1,

  async run(given, terminal) {
    const word = given.positional(0, 'up, down or status');
    const action = actions.find((known) => known === word);
    switch (action) {
      case 'up':
        return up(given, terminal);
      case 'down':
        return down(given, terminal);
      case 'status':
        return status(given, terminal);
      default:
        return given.refuse(`up, down or status, not '${word}'`);
    }
  },
};

async function up(given: Arguments, terminal: Terminal): Promise<Outcome> {
  const directory = stateDirectory(given, terminal);
  const n = given.integer('parties', 4, 64);
  const t = given.integer('tolerate', 1, 21) ?? (n === undefined ? undefined : Math.floor((n - 1) / 3));
  const progress = terminal.progress('starting network');
  try {
    const network = await LocalNetwork.up({
      stateDirectory: directory,
      ...(n === undefined ? {} : { n }),
      ...(t === undefined ? {} : { t }),
      gateway: true,
      signal: terminal.interrupts.hold(),
      onProgress: ({ phase, done, total }) => progress.update(phase, done, total),
    });
    const [chains, programs] = [await network.chains(), await network.programs()];
    progress.finish();
    return {
      json: {
        state: directory,
        networkId: network.networkId,
        n: network.n,
        t: network.t,
        nodes: network.addresses,
        ...(chains.length === 0 ? {} : { chains, programs }),
      },
      lines: [
        `${network.n} nodes up, ${network.t} of them may be corrupt; state in ${directory}`,
        `network ${network.networkId}`,
        ...chains.map(({ role, chainId, url }) => `${role} chain ${chainId} at ${url}`),
        ...(programs.length === 0 ? [] : [`around them: ${programs.map(({ name }) => name).join(', ')}`]),
      ],
    };
  } finally {
    progress.finish();
  }
}

async function down(given: Arguments, terminal: Terminal): Promise<Outcome> {
  const network = await opened(given, terminal);
  await network.down({ erase: given.flag('erase') });
  return { json: { state: network.directory, erased: given.flag('erase') }, lines: ['all nodes are down'] };
}

async function status(given: Arguments, terminal: Terminal): Promise<Outcome> {
  const network = await opened(given, terminal);
  const nodes = (await network.status()).map(({ party, address, enclave, parent, card }) => {
    const phase = card?.phase ?? (enclave && parent ? 'does not answer' : 'down');
    const { reason = '', connectedPeers = [] } = card ?? {};
    return { party, address, enclave, parent, phase, reason, connectedPeers };
  });
  const stuck = nodes.filter(({ reason }) => reason !== '');
  const rows = nodes.map((node) => [
    `${node.party}`,
    node.address,
    node.enclave ? 'up' : 'down',
    node.parent ? 'up' : 'down',
    node.phase,
    `${node.connectedPeers.length} of ${network.n - 1}`,
  ]);
  const [chains, programs] = [await network.chains(), await network.programs()];
  return {
    json: {
      ...{ state: network.directory, networkId: network.networkId, n: network.n, t: network.t, nodes },
      ...(chains.length === 0 ? {} : { chains, programs }),
    },
    lines: [
      ...table([['PARTY', 'ADDRESS', 'ENCLAVE', 'PARENT', 'PHASE', 'PEERS'], ...rows]),
      ...chainLines(chains),
      ...programLines(programs),
      ...stuck.map(({ party, reason }) => `node ${party} does not go on by itself: ${reason}`),
    ],
  };
}

function chainLines(chains: readonly ChainStatus[]): readonly string[] {
  if (chains.length === 0) return [];
  const rows = chains.map(({ chainId, role, url, block }) => [
    ...[`${chainId}`, role, url, block === undefined ? 'down' : `${block}`],
  ]);
  const contracts = chains.flatMap(({ chainId, contracts: all }) =>
    Object.entries(all).map(([name, address]) => [`${chainId}`, name, address]),
  );
  return [
    '',
    ...table([['CHAIN', 'ROLE', 'URL', 'BLOCK'], ...rows]),
    '',
    ...table([['CHAIN', 'CONTRACT', 'ADDRESS'], ...contracts]),
  ];
}

function programLines(programs: readonly ProgramStatus[]): readonly string[] {
  if (programs.length === 0) return [];
  const rows = programs.map(({ name, isUp, url }) => [name, isUp ? 'up' : 'down', url ?? '']);
  return ['', ...table([['PROGRAM', 'STATE', 'URL'], ...rows])];
}

async function opened(given: Arguments, terminal: Terminal): Promise<LocalNetwork> {
  try {
    return await LocalNetwork.open(stateDirectory(given, terminal));
  } catch (error) {
    if (error instanceof KmsError && error.code === 'UNAVAILABLE') {
      throw new KmsError('UNAVAILABLE', `${error.message}; 'kms net up' starts one`, { cause: error });
    }
    throw error;
  }
}
