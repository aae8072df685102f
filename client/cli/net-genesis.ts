import { KmsError } from '../../shared/errors.ts';
import { digest } from '../../shared/ids.ts';
import type { Finality } from '../../shared/network/chain-access.ts';
import { encodeGenesis, type GatewayAnchor, NO_GATEWAY, networkIdOf } from '../../shared/network/genesis.ts';
import { governanceQuorum } from '../../shared/network/governance.ts';
import { networkClasses } from '../../shared/network/network-class.ts';
import type { RpcSet } from '../../shared/network/rpc.ts';
import { noble } from '../../shared/noble.ts';
import { fromHex } from '../../shared/wire/bytes.ts';
import type { Arguments, Options } from './arguments.ts';
import { attestationRootFrom } from './attestation-root-file.ts';
import type { Command } from './command.ts';
import { writeNew } from './file.ts';
import { readGovernancePublicKey } from './governance-key-file.ts';
import { readRpcSet } from './network-json.ts';
import { genesisJson, genesisLines } from './network-text.ts';

/** About a day of 12-second blocks. */
const DELAY_BLOCKS = '7200';
const NO_RPC: RpcSet = { k: 0, endpoints: [] };

const options: Options = {
  out: { value: 'FILE', short: 'o', help: 'where the genesis goes', default: 'genesis.bin' },
  name: { value: 'NAME', help: 'for people: a-z, 0-9 and -' },
  class: {
    value: 'CLASS',
    help: 'which builds may join',
    default: 'production',
    choices: networkClasses,
  },
  root: { value: 'FILE', help: 'attestation root: certificate, or its SHA-256 in hex' },
  governance: { value: 'FILES', help: 'public halves of the operators keys, separated by commas' },
  delay: {
    value: 'BLOCKS',
    help: 'how long new measurements and governance keys are public before they count',
    default: DELAY_BLOCKS,
  },
  'chain-id': {
    value: 'N',
    help: 'gateway: the id of its chain (default: no gateway; production networks have one)',
  },
  registry: { value: 'ADDRESS', help: 'gateway: address of the registry' },
  'code-hash': { value: 'HEX', help: "gateway: keccak-256 of the registry's runtime code" },
  finality: {
    value: 'RULE',
    help: "gateway: 'finalized' or a number of confirmations",
    default: 'finalized',
  },
  rpc: { value: 'FILE', help: 'gateway: JSON with k, endpoints, url, spkiPins' },
};

export const netGenesis: Command = {
  name: 'net genesis',
  summary: 'write down what a network is, for ever; its hash is the network id',
  forms: ['--name NAME --root FILE --governance A.pub,B.pub,C.pub,D.pub [-o FILE]'],
  details: [
    'Public keys only. Every operator checks what this prints, and its network id, on a machine of their own: nothing in a ' +
      'genesis can ever be changed. Of n governance keys n - t sign, t = (n-1)/3 rounded down.',
  ],
  options,
  maxPositionals: 0,

  async run(given) {
    const out = given.required('out');
    const files = given.required('governance').split(',');
    const keys = await Promise.all(files.map(readGovernancePublicKey));
    const genesis = {
      name: given.required('name'),
      class: networkClasses.find((one) => one === given.text('class')) ?? 'production',
      attestationRoot: await attestationRootFrom(given.required('root')),
      gateway: gatewayFrom(given),
      governance: { keys, quorum: governanceQuorum(keys.length) },
      measurementDelayBlocks: given.integer('delay', 0, 2 ** 32 - 1) ?? 0,
      rpc: given.text('rpc') === undefined ? NO_RPC : await readRpcSet(given.required('rpc')),
    };
    const networkId = networkIdOf(noble, genesis);
    await writeNew(out, encodeGenesis(genesis));
    return {
      json: { file: out, networkId, genesis: genesisJson(genesis) },
      lines: [`network ${networkId}`, ...genesisLines(genesis), `written to ${out}`],
    };
  },
};

function gatewayFrom(given: Arguments): GatewayAnchor {
  const id = given.text('chain-id');
  if (id === undefined) return NO_GATEWAY;
  if (!/^[1-9][0-9]{0,18}$/.test(id)) given.refuse(`--chain-id takes a positive integer, not '${id}'`);
  return {
    chainId: BigInt(id),
    registry: fromHex(hexOf(given, 'registry', 20)),
    registryCodeHash: digest(hexOf(given, 'code-hash', 32)),
    finality: finalityFrom(given.required('finality')),
  };
}

function hexOf(given: Arguments, name: string, sizeBytes: number): string {
  const hex = given.required(name).toLowerCase().replace(/^0x/, '');
  if (!/^[0-9a-f]*$/.test(hex) || hex.length !== 2 * sizeBytes) {
    given.refuse(`--${name} takes ${sizeBytes} bytes in hex`);
  }
  return hex;
}

function finalityFrom(text: string): Finality {
  if (text === 'finalized') return { kind: 'finalized' };
  const blocks = /^[1-9][0-9]{0,5}$/.test(text) ? Number(text) : undefined;
  if (blocks === undefined) throw new KmsError('BAD_INPUT', `'${text}' is no rule of finality`);
  return { kind: 'depth', blocks };
}
