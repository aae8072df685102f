import type { ConfigurationChain } from '../../shared/network/chain.ts';
import type { ChainAccess, Finality } from '../../shared/network/chain-access.ts';
import type { Configuration } from '../../shared/network/configuration.ts';
import type { Genesis } from '../../shared/network/genesis.ts';
import type { Governance } from '../../shared/network/governance.ts';
import { registersOf } from '../../shared/network/measurement.ts';
import type { RpcSet } from '../../shared/network/rpc.ts';
import { type SignedConfiguration, signersOf } from '../../shared/network/signed-configuration.ts';
import { noble } from '../../shared/noble.ts';
import { toHex } from '../../shared/wire/bytes.ts';
import type { Outcome } from './command.ts';

/** Genesis and configurations for people, and as JSON with the same names as in the code. */

export function genesisJson(genesis: Genesis): Outcome['json'] {
  const { gateway, governance } = genesis;
  return {
    ...genesis,
    gateway: { ...gateway, chainId: `${gateway.chainId}`, registry: toHex(gateway.registry) },
    governance: governanceJson(governance),
  };
}

export function genesisLines(genesis: Genesis): readonly string[] {
  const { name, attestationRoot, gateway, governance, measurementDelayBlocks, rpc } = genesis;
  const { chainId, registry, registryCodeHash, finality } = gateway;
  const final = finalityText(finality);
  return [
    `name         ${name}, ${genesis.class} network`,
    `root         ${attestationRoot}`,
    chainId === 0n
      ? 'gateway      none'
      : `gateway      chain ${chainId}, registry 0x${toHex(registry)}, code ${registryCodeHash}, ${final}`,
    ...rpcLines(rpc),
    `delay        ${measurementDelayBlocks} blocks before new measurements and governance keys count`,
    ...governanceLines(governance),
  ];
}

export function configurationJson(configuration: Configuration): Outcome['json'] {
  return {
    ...configuration,
    members: configuration.members.map((member) => ({
      ...member,
      identity: toHex(member.identity),
      bootKey: toHex(member.bootKey),
    })),
    measurements: configuration.measurements.map((one) =>
      Object.fromEntries(registersOf(one).map(([name, value]) => [name, toHex(value)])),
    ),
    governance: governanceJson(configuration.governance),
    hosts: configuration.hosts.map((host) => ({ ...host, chainId: `${host.chainId}` })),
  };
}

export function configurationLines(configuration: Configuration): readonly string[] {
  const { number, networkId, predecessor, epoch, t, members, measurements } = configuration;
  const { activationBlock, overlapUntilBlock, governance, rpc, maxHeadAgeS, hosts, custodians } =
    configuration;
  return [
    `configuration ${number} of network ${networkId}`,
    `follows      ${number === 0 ? 'genesis' : predecessor}`,
    `valid        from block ${activationBlock}, beside its predecessor up to block ${overlapUntilBlock}`,
    `committee    epoch ${epoch}, ${members.length} members, ${t} of them may be corrupt`,
    ...members.flatMap(({ party, identity, bootKey, address, storage }) => [
      `  ${party}  ${address}  ${toHex(identity)}, boot key ${toHex(bootKey).slice(0, 16)}`,
      `     ${storage.bucket}, ${storage.kmsKey}, ${storage.role}`,
    ]),
    'measurements',
    ...measurements.flatMap((one) => registersOf(one).map(([name, value]) => `  ${name}  ${toHex(value)}`)),
    ...rpcLines(rpc),
    ...(rpc.endpoints.length === 0 ? [] : [`head         at most ${maxHeadAgeS} s old`]),
    ...hosts.flatMap(hostLines),
    ...governanceLines(governance),
    `custodians   ${custodians.length === 0 ? 'none' : custodians.join(' ')}`,
  ];
}

/** Who signed, counted from 1, and how many more must. */
export function signingState(
  governance: Governance,
  signed: SignedConfiguration,
): { readonly signed: readonly number[]; readonly unsigned: readonly number[]; readonly missing: number } {
  const valid = signersOf(noble, governance, signed).map((key) => key + 1);
  const all = governance.keys.map((_, i) => i + 1);
  return {
    signed: valid,
    unsigned: all.filter((key) => !valid.includes(key)),
    missing: Math.max(0, governance.quorum - valid.length),
  };
}

export function signingLine(state: ReturnType<typeof signingState>): string {
  const by = state.signed.length === 0 ? 'by nobody yet' : `by governance keys ${state.signed.join(', ')}`;
  return state.missing === 0
    ? `signed       ${by}: complete`
    : `signed       ${by}; ${state.missing} more needed of keys ${state.unsigned.join(', ')}`;
}

/** What differs from the configuration before: what a signer has to look at. */
export function changeLines(chain: ConfigurationChain, next: Configuration): readonly string[] {
  const before = chain.links[next.number - 1]?.signed.configuration;
  if (before === undefined) return ['changes      everything: the first configuration'];
  const old = new Set(configurationLines(before));
  const fresh = new Set(configurationLines(next));
  const gone = [...old].filter((line) => !fresh.has(line)).map((line) => `  - ${line.trim()}`);
  const come = [...fresh].filter((line) => !old.has(line)).map((line) => `  + ${line.trim()}`);
  return ['changes', ...gone, ...come];
}

function governanceJson({ keys, quorum }: Governance): Outcome['json'] {
  return { quorum, keys: keys.map(toHex) };
}

function governanceLines({ keys, quorum }: Governance): readonly string[] {
  return [
    `governance   ${quorum} of ${keys.length} keys sign the next configuration`,
    ...keys.map((key, i) => `  ${i + 1}  ${toHex(key)}`),
  ];
}

function hostLines({ chainId, finality, maxHeadAgeS, rpc }: ChainAccess): readonly string[] {
  return [
    `host         chain ${chainId}, ${finalityText(finality)}, head at most ${maxHeadAgeS} s old`,
    ...rpcLines(rpc).map((line) => `  ${chainId}  ${line.trim()}`),
  ];
}

function finalityText(finality: Finality): string {
  return finality.kind === 'finalized' ? 'finalized blocks' : `${finality.blocks} confirmations`;
}

function rpcLines({ k, endpoints }: RpcSet): readonly string[] {
  if (endpoints.length === 0) return ['rpc          none'];
  return [
    `rpc          ${k} of ${endpoints.length} must agree`,
    ...endpoints.map(({ url, spkiPins }) => `  ${url}  ${spkiPins.join(' ')}`),
  ];
}
