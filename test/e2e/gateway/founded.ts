import { secp256k1 } from '@noble/curves/secp256k1.js';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { type Address, bytesToHex, encodeAbiParameters, type Hex, hexToBytes, keccak256, toHex } from 'viem';
import type { Deployed, LocalAccount } from '../../../infra/local/chains/account.ts';
import { type LocalChains, startChains } from '../../../infra/local/chains/chains.ts';
import { command, foundGateway } from '../../../infra/local/chains/gateway.ts';
import { deployHost, type LocalHost } from '../../../infra/local/chains/host.ts';
import type { CommittedCiphertext } from '../../../shared/gateway/commitments.ts';
import { type TypedDomain, typedDigest } from '../../../shared/gateway/eip712.ts';
import type { Derivation } from '../../../shared/gateway/handle.ts';
import type { ClaimedCiphertext } from '../../../shared/gateway/policy/ciphertext.ts';
import { addressOf, signDigest } from '../../../shared/gateway/signature.ts';
import type { Typed, TypedName } from '../../../shared/gateway/typed-data.ts';
import { concat, utf8 } from '../../../shared/wire/bytes.ts';

/** A network on real local chains with one active key, two host chains and coprocessors; signed by the TypeScript side alone. */
export interface FoundedNetwork extends AsyncDisposable {
  readonly chains: LocalChains;
  readonly hosts: readonly LocalHost[];
  readonly domain: TypedDomain;
  readonly relayer: LocalAccount;
}

export const T = 1;
export const KEY: Hex = keccak256(toHex('key'));
export const PRESET = 2;
export const NETWORK: Hex = `0x6d6f636b${'cd'.repeat(28)}`;

const secretOf = (name: string): Uint8Array => keccak_256(utf8(name));
const signerOf = (secret: Uint8Array): Address => bytesToHex(addressOf(secp256k1.getPublicKey(secret, true)));
const secrets = [1, 2, 3, 4].map((i) => secretOf(`signer ${i}`));
export const bytes32 = (hex: Hex): Uint8Array => hexToBytes(hex, { size: 32 });

export const members = secrets.map((secret, i) => ({
  signer: signerOf(secret),
  identity: keccak256(toHex(`identity ${i}`)),
  tlsRoot: keccak256(toHex('tls')),
  epochKey: keccak256(toHex(`epoch key ${i}`)),
  measurement: keccak256(toHex('measurement')),
  endpoint: `node-${i + 1}.example:443`,
  organisation: `organisation ${i + 1}`,
  cloudAccount: `account ${i + 1}`,
  region: 'region',
}));

/** Packed signatures of the first parties. */
export function signed<Name extends TypedName>(
  { domain }: Pick<FoundedNetwork, 'domain'>,
  name: Name,
  statement: Typed<Name>,
  parties = 2 * T + 1,
): Hex {
  const digest = typedDigest(domain, name, statement);
  return bytesToHex(concat(...secrets.slice(0, parties).map((secret) => signDigest(digest, secret))));
}

export async function foundNetwork(): Promise<FoundedNetwork> {
  const chains = await startChains();
  try {
    const { gateway } = chains;
    const relayer = gateway.operators[3]!;
    const registry = hexToBytes(gateway.registry.address);
    const domain = { gatewayChainId: BigInt(gateway.chain.chainId), registry };
    const nodes = members.map((member) => ({ ...member, sender: gateway.operators[0]!.address }));
    await foundGateway(gateway, NETWORK, keccak256(toHex('configuration')), T, nodes);
    await enrolAll(gateway.registry, relayer, domain);
    const first = { epoch: 0n, t: T, signers: secrets.map(signerOf) };
    const hosts: LocalHost[] = [];
    for (const chain of chains.hosts) {
      hosts.push(await deployHost(chain, gateway, first, [signerOf(secretOf('submitter'))]));
    }
    const network = {
      chains,
      hosts,
      domain,
      relayer,
      [Symbol.asyncDispose]: () => chains[Symbol.asyncDispose](),
    };
    await makeKey(network);
    return network;
  } catch (error) {
    await chains[Symbol.asyncDispose]();
    throw error;
  }
}

async function enrolAll(registry: Deployed, relayer: LocalAccount, domain: TypedDomain): Promise<void> {
  const document = keccak256(toHex('document'));
  for (const [i, { signer, identity, tlsRoot, measurement }] of members.entries()) {
    const enrolment = { epoch: 0n, party: i + 1, signer, identity, tlsRoot, measurement, document };
    const statement = {
      ...{ epoch: 0n, party: i + 1, signer: hexToBytes(signer), identity: bytes32(identity) },
      ...{ tlsRoot: bytes32(tlsRoot), measurement: bytes32(measurement), document: bytes32(document) },
    };
    const signatures = signed({ domain }, 'NodeEnrolment', statement, 4);
    await relayer.send({ to: registry, name: 'enrol', args: [enrolment, signatures] });
  }
}

async function makeKey(network: FoundedNetwork): Promise<void> {
  const { chains, hosts, relayer } = network;
  const { gateway } = chains;
  const respond = async (
    asked: object,
    types: readonly string[],
    made: object,
    signatures: Hex,
  ): Promise<void> => {
    const statement = encodeAbiParameters(
      types.map((type) => ({ type })),
      Object.values(made),
    );
    await relayer.send({ to: gateway.keys, name: 'respond', args: [asked, statement, signatures] });
  };
  const asked = await command(gateway, 1, encoded(['uint8', 'uint8'], [PRESET, 0]));
  const recordDigest = keccak256(toHex('record'));
  const made = { commandId: 1n, keyId: KEY, preset: PRESET, epoch: 0n, recordDigest };
  const madeSigned = signed(network, 'KeyGeneration', {
    ...made,
    keyId: bytes32(KEY),
    recordDigest: bytes32(recordDigest),
  });
  await respond(asked, ['uint256', 'bytes32', 'uint8', 'uint64', 'bytes32'], made, madeSigned);
  const move = await command(gateway, 5, encoded(['bytes32', 'uint8'], [KEY, 2]));
  const moved = { commandId: 2n, keyId: KEY, fromState: 1, toState: 2, epoch: 0n };
  const movedSigned = signed(network, 'LifecycleTransition', { ...moved, keyId: bytes32(KEY) });
  await respond(move, ['uint256', 'bytes32', 'uint8', 'uint8', 'uint64'], moved, movedSigned);
  for (const { deployer, keyring } of hosts) {
    await deployer.send({ to: keyring, name: 'add', args: [made, madeSigned] });
    await deployer.send({ to: keyring, name: 'move', args: [moved, movedSigned] });
  }
}

export function encoded(types: readonly string[], values: readonly unknown[]): Hex {
  return encodeAbiParameters(
    types.map((type) => ({ type })),
    [...values],
  );
}

/** An input that the deployer brings and owns, its envelope named only by a digest. @returns what the coprocessors commit */
export async function bringInput(
  { deployer, compute, submitters }: LocalHost,
  name: string,
): Promise<ClaimedCiphertext> {
  const digest = keccak256(toHex(name));
  const by = deployer.address;
  const toSign = await deployer.read({ to: submitters, name: 'inputDigest', args: [by, by, digest, KEY, 1] });
  const proof = bytesToHex(signDigest(bytes32(String(toSign) as Hex), secretOf('submitter')));
  await deployer.send({ to: compute, name: 'input', args: [digest, KEY, 1, by, proof] });
  return computed(deployer, compute, bytes32(digest));
}

export async function addHandles(
  { deployer, compute }: LocalHost,
  a: ClaimedCiphertext,
  b: ClaimedCiphertext,
): Promise<ClaimedCiphertext> {
  const args = [a, b].map(({ ciphertext }) => bytesToHex(ciphertext.handle));
  await deployer.send({ to: compute, name: 'add', args });
  return computed(deployer, compute, keccak256(toHex('sum'), 'bytes'));
}

async function computed(by: LocalAccount, compute: Deployed, digest: Uint8Array): Promise<ClaimedCiphertext> {
  const event = bytesOf(await lastEvent(by, compute, 'Computed')) as {
    readonly handle: Uint8Array;
    readonly provenance: Uint8Array;
    readonly derivation: Omit<Derivation, 'kind'> & { readonly kind: number };
  };
  const { handle, provenance, derivation } = event;
  const { keyId, kind, level, bound } = derivation;
  const ciphertext: CommittedCiphertext = { handle, keyId, digest, kind, level, bound, provenance };
  return { ciphertext, derivation: { ...derivation, kind: kind === 1 ? 'scalar' : 'vector' } };
}

/** Two of three coprocessors say what the ciphertexts are and mirror grants of the first version. */
export async function commit(
  { chains }: FoundedNetwork,
  chainId: number,
  claimed: readonly ClaimedCiphertext[],
  accounts: readonly Address[],
): Promise<void> {
  const { ciphertexts, coprocessors } = chains.gateway;
  const said = claimed.map(({ ciphertext: c }) => ({
    ...{ handle: bytesToHex(c.handle), keyId: bytesToHex(c.keyId), digest: bytesToHex(c.digest) },
    ...{ kind: c.kind, level: c.level, bound: c.bound, provenance: bytesToHex(c.provenance) },
  }));
  const grants = said.flatMap(({ handle }) =>
    accounts.map((account) => ({
      handle,
      hostChainId: BigInt(chainId),
      account,
      version: 1n,
      allowed: true,
    })),
  );
  for (const coprocessor of coprocessors.slice(0, 2)) {
    await coprocessor.send({ to: ciphertexts, name: 'commit', args: [said, grants] });
  }
}

/** The newest event's arguments. */
export async function lastEvent(
  by: LocalAccount,
  of: Deployed,
  eventName: string,
): Promise<Readonly<Record<string, unknown>>> {
  const events = await by.client.getContractEvents({ ...of, eventName, fromBlock: 0n });
  const args: unknown = events.at(-1)?.args;
  if (typeof args !== 'object' || args === null) throw new Error(`no event ${eventName}`);
  return { ...args };
}

/** What an event gives, with every hex string as bytes. */
export function bytesOf(value: unknown): unknown {
  if (typeof value === 'string' && value.startsWith('0x')) return hexToBytes(value as Hex);
  if (Array.isArray(value)) return value.map(bytesOf);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, bytesOf(field)]));
}
