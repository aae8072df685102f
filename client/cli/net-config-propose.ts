import { mockChainHead } from '../../shared/attestation/roots/mock.ts';
import { type EpochId, epochId, partyId } from '../../shared/ids.ts';
import type { ConfigurationChain } from '../../shared/network/chain.ts';
import type { ChainAccess } from '../../shared/network/chain-access.ts';
import { MAX_HEAD_AGE_S } from '../../shared/network/chain-head.ts';
import { type Configuration, configurationDigest, type Member } from '../../shared/network/configuration.ts';
import { hasGateway } from '../../shared/network/genesis.ts';
import { governanceQuorum } from '../../shared/network/governance.ts';
import { encodeSignedConfiguration } from '../../shared/network/signed-configuration.ts';
import { noble } from '../../shared/noble.ts';
import { NO_DIGEST } from '../../shared/protocol/statement.ts';
import { toHex } from '../../shared/wire/bytes.ts';
import { describeNode } from '../node-admin.ts';
import type { Arguments, Options } from './arguments.ts';
import { type Command, networkFileOptions } from './command.ts';
import { writeNew } from './file.ts';
import { readGovernancePublicKey } from './governance-key-file.ts';
import { networkPaths, readGrowingChain } from './network-files.ts';
import { readHostChains, readMeasurement, readMembers, readRpcSet, readStorage } from './network-json.ts';
import { changeLines, configurationJson, configurationLines } from './network-text.ts';
import { anchorsOf } from './pins.ts';

const MAX_BLOCK = 2 ** 32 - 1;
/** In mock networks, where a block is a second. */
const MOCK_LEAD_BLOCKS = 5;

const options: Options = {
  out: { value: 'FILE', short: 'o', help: 'where the proposal goes' },
  nodes: { value: 'ADDRESSES', help: 'configuration 0: members by address, asked for their keys' },
  members: { value: 'FILE', help: 'configuration 0: members as JSON: identity, bootKey, address, storage' },
  storage: { value: 'FILE', help: 'where members seal, as JSON by party: kmsKey, role, bucket' },
  tolerate: { value: 'T', help: 'configuration 0: how many may be corrupt (default: as many as possible)' },
  address: { value: 'P=HOST:PORT', help: 'move members, several separated by commas' },
  allow: { value: 'FILES', help: 'allow measurements: JSON as nitro-cli prints it' },
  withdraw: { value: 'PCR0', help: 'withdraw measurements whose PCR0 begins so' },
  governance: { value: 'FILES', help: 'other governance keys for the configurations after this one' },
  rpc: { value: 'FILE', help: 'other RPC endpoints: JSON with k, endpoints, url, spkiPins' },
  'head-age': { value: 'SECONDS', help: "gateway: how old its chain's newest block may be (first: 120)" },
  hosts: { value: 'FILE', help: 'host chains: JSON list of chainId, finality, maxHeadAgeS, rpc' },
  activate: { value: 'BLOCK', help: 'first block (mock networks without a gateway: a few seconds from now)' },
  overlap: {
    value: 'BLOCKS',
    help: 'how long the predecessor stays valid beside it',
    default: '10',
  },
  ...networkFileOptions,
};

export const netConfigPropose: Command = {
  name: 'net config propose',
  summary: "write an unsigned next configuration of the network from the current one's",
  forms: [
    '--nodes HOST:PORT,... --storage FILE --allow FILE -o FILE',
    '[--address P=HOST:PORT] [--storage FILE] [--allow FILE] ... -o FILE',
  ],
  details: [
    'The first form makes configuration 0, after genesis; the second the next one. A new measurement counts only after ' +
      'the delay of the genesis: allow it first, move the nodes, and withdraw the old one with a later configuration. ' +
      'The committee cannot be changed yet.',
  ],
  options,
  maxPositionals: 0,

  async run(given, terminal) {
    const out = given.required('out');
    const chain = await readGrowingChain(networkPaths(given, terminal), anchorsOf(given, terminal));
    const configuration = chain.links.length === 0 ? await first(given, chain) : await next(given, chain);
    chain.checkNext(configuration);
    await writeNew(out, encodeSignedConfiguration({ configuration, signatures: [] }));
    const digest = configurationDigest(noble, configuration);
    const { number } = configuration;
    return {
      json: { file: out, number, digest, configuration: configurationJson(configuration) },
      lines: [
        ...configurationLines(configuration),
        `digest       ${digest}`,
        ...changeLines(chain, configuration),
        `written to ${out}; ${chain.governance.quorum} operators sign it with 'kms net config sign'`,
      ],
    };
  },
};

async function first(given: Arguments, chain: ConfigurationChain): Promise<Configuration> {
  const { genesis, networkId } = chain;
  const members = await membersFrom(given);
  const n = members.length;
  const epoch: EpochId = epochId(0);
  return {
    number: 0,
    networkId,
    predecessor: NO_DIGEST,
    epoch,
    t: given.integer('tolerate', 1, 21) ?? Math.floor((n - 1) / 3),
    members: members.map((member, i) => ({ party: partyId(i + 1), ...member })),
    measurements: await Promise.all(filesOf(given.required('allow')).map(readMeasurement)),
    activationBlock: 0,
    overlapUntilBlock: 0,
    governance: genesis.governance,
    rpc: genesis.rpc,
    maxHeadAgeS: headAgeFrom(given, hasGateway(genesis) ? MAX_HEAD_AGE_S : 0),
    hosts: await hostsFrom(given, []),
    custodians: [],
  };
}

async function membersFrom(given: Arguments): Promise<readonly Omit<Member, 'party'>[]> {
  const file = given.text('members');
  if (file !== undefined) return readMembers(file);
  const addresses = filesOf(given.text('nodes') ?? given.refuse('--nodes or --members is missing'));
  const places = await readStorage(given.required('storage'));
  if (places.length !== addresses.length) given.refuse('--storage has another number of places than --nodes');
  return Promise.all(
    addresses.map(async (address, i) => {
      const { identity, bootKey } = await describeNode({ identity: undefined, addresses: [address] });
      return { identity, bootKey, address, storage: places[i]! };
    }),
  );
}

async function next(given: Arguments, chain: ConfigurationChain): Promise<Configuration> {
  for (const name of ['nodes', 'members', 'tolerate']) {
    if (given.text(name) !== undefined) given.refuse(`--${name} is for configuration 0 only`);
  }
  const { digest: predecessor, signed } = chain.newest;
  const before = signed.configuration;
  const moves = movesFrom(given, before.members.length);
  const allowed = await Promise.all(filesOf(given.text('allow')).map(readMeasurement));
  const kept = before.measurements.filter(({ pcr0 }) => !isWithdrawn(given, toHex(pcr0)));
  const rpc = given.text('rpc');
  const storage = given.text('storage');
  const places = storage === undefined ? undefined : await readStorage(storage);
  if (places !== undefined && places.length !== before.members.length) {
    given.refuse('--storage has another number of places than there are members');
  }
  const activationBlock = activationFrom(given, chain);
  return {
    ...before,
    number: before.number + 1,
    predecessor,
    members: before.members.map((member, i) => ({
      ...member,
      storage: places?.[i] ?? member.storage,
      address: moves.get(member.party) ?? member.address,
    })),
    measurements: [...kept, ...allowed],
    activationBlock,
    overlapUntilBlock: activationBlock + (given.integer('overlap', 0, MAX_BLOCK - activationBlock) ?? 0),
    governance: await governanceFrom(given, before),
    rpc: rpc === undefined ? before.rpc : await readRpcSet(rpc),
    maxHeadAgeS: headAgeFrom(given, before.maxHeadAgeS),
    hosts: await hostsFrom(given, before.hosts),
  };
}

function movesFrom(given: Arguments, n: number): ReadonlyMap<number, string> {
  return new Map(
    filesOf(given.text('address')).map((move) => {
      const [, party, address] =
        /^([1-9][0-9]?)=(.+)$/.exec(move) ?? given.refuse(`'${move}' is no P=HOST:PORT`);
      return [partyId(Number(party), n), address ?? ''];
    }),
  );
}

function isWithdrawn(given: Arguments, pcr0: string): boolean {
  const prefix = given.text('withdraw')?.toLowerCase();
  if (prefix === undefined) return false;
  if (!/^[0-9a-f]{8,96}$/.test(prefix))
    given.refuse('--withdraw takes at least the first 8 hex digits of a PCR0');
  return pcr0.startsWith(prefix);
}

async function governanceFrom(given: Arguments, before: Configuration): Promise<Configuration['governance']> {
  const files = given.text('governance');
  if (files === undefined) return before.governance;
  const keys = await Promise.all(filesOf(files).map(readGovernancePublicKey));
  return { keys, quorum: governanceQuorum(keys.length) };
}

function headAgeFrom(given: Arguments, otherwise: number): number {
  return given.integer('head-age', 1, MAX_BLOCK) ?? otherwise;
}

async function hostsFrom(
  given: Arguments,
  otherwise: readonly ChainAccess[],
): Promise<readonly ChainAccess[]> {
  const file = given.text('hosts');
  return file === undefined ? otherwise : readHostChains(file);
}

/** Never before the window of the configuration before it has closed. */
function activationFrom(given: Arguments, chain: ConfigurationChain): number {
  const asked = given.integer('activate', 0, MAX_BLOCK);
  if (asked !== undefined) return asked;
  const { genesis } = chain;
  const head = genesis.class === 'mock' && !hasGateway(genesis) ? mockChainHead(Date.now) : undefined;
  const now = head?.block() ?? given.refuse('--activate is missing: the first block of the configuration');
  return Math.max(now + MOCK_LEAD_BLOCKS, chain.newest.signed.configuration.overlapUntilBlock + 1);
}

function filesOf(text: string | undefined): readonly string[] {
  return text === undefined ? [] : text.split(',').filter((part) => part !== '');
}
