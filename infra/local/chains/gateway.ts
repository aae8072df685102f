import { type Address, encodeAbiParameters, encodeFunctionData, type Hex, keccak256 } from 'viem';
import { KmsError } from '../../../shared/errors.ts';
import { type CompiledContract, contracts } from '../../build/contracts.ts';
import { type Deployed, LocalAccount } from './account.ts';
import { COPROCESSORS, coprocessorOf, OPERATORS, operatorOf } from './accounts.ts';
import type { ChainPlace } from './anvil.ts';

/** A gateway on a local chain, before or after its network is founded. */
export interface LocalGateway {
  readonly chain: ChainPlace;
  readonly registry: Deployed;
  readonly keys: Deployed;
  readonly ciphertexts: Deployed;
  readonly decryptions: Deployed;
  /** keccak-256 of the registry's runtime code, for genesis. */
  readonly registryCodeHash: Hex;
  readonly operators: readonly LocalAccount[];
  readonly coprocessors: readonly LocalAccount[];
}

/** A member as the registry's Node has it. */
export interface ProposedNode {
  readonly sender: Address;
  readonly signer: Address;
  readonly identity: Hex;
  readonly tlsRoot: Hex;
  readonly epochKey: Hex;
  readonly measurement: Hex;
  readonly endpoint: string;
  readonly organisation: string;
  readonly cloudAccount: string;
  readonly region: string;
}

export function compiled(name: string): CompiledContract {
  const found = contracts().find((contract) => contract.name === name);
  if (found === undefined) throw new KmsError('INTERNAL', `there is no contract ${name}`);
  return found;
}

/** Accounts 0..3 are operators, 4..6 coprocessors. Its registry goes into genesis; foundGateway() follows. */
export async function deployGateway(chain: ChainPlace): Promise<LocalGateway> {
  const { operators, coprocessors } = officesOn(chain);
  const deployer = operators[0]!;
  const registry = await deployer.deploy(compiled('Registry'), [operators.map(({ address }) => address)]);
  const keys = await deployer.deploy(compiled('Keys'), [registry.address]);
  const ciphertexts = await deployer.deploy(compiled('Ciphertexts'), [registry.address, keys.address]);
  const decryptions = await deployer.deploy(
    compiled('Decryptions'),
    [registry, keys, ciphertexts].map(({ address }) => address),
  );
  const registryCodeHash = await codeHashOf(deployer, registry);
  const gateway = {
    chain,
    registry,
    keys,
    ciphertexts,
    decryptions,
    registryCodeHash,
    operators,
    coprocessors,
  };
  const all = { keys: keys.address, ciphertexts: ciphertexts.address, decryptions: decryptions.address };
  await decide(gateway, registry, 'setContracts', [all]);
  await decide(gateway, registry, 'setCoprocessors', [coprocessors.map(({ address }) => address)]);
  return gateway;
}

/** One that deployGateway() deployed whole. @throws {KmsError} UNAVAILABLE if the chain has no such contract */
export async function openGateway(chain: ChainPlace, registryAddress: Address): Promise<LocalGateway> {
  const offices = officesOn(chain);
  const reader = offices.operators[0]!;
  const at = (name: string, address: Address): Deployed => ({ address, abi: compiled(name).abi });
  const registry = at('Registry', registryAddress);
  const registryCodeHash = await codeHashOf(reader, registry);
  const named = await reader.read({ to: registry, name: 'contracts' });
  if (!Array.isArray(named)) throw new KmsError('INTERNAL', 'the registry names no contracts');
  const [keys, ciphertexts, decryptions]: readonly Address[] = named;
  return {
    ...{ chain, registry, registryCodeHash, ...offices },
    keys: at('Keys', keys!),
    ciphertexts: at('Ciphertexts', ciphertexts!),
    decryptions: at('Decryptions', decryptions!),
  };
}

/** keccak-256 of the runtime code. @throws {KmsError} UNAVAILABLE if there is none */
export async function codeHashOf({ client }: LocalAccount, { address }: Deployed): Promise<Hex> {
  const code = await client.getCode({ address });
  if (code === undefined) throw new KmsError('UNAVAILABLE', `the chain has no contract at ${address}`);
  return keccak256(code);
}

/**
 * The same call from as many operators as must agree; the last one carries it out. Approvals that are there already count: a
 * decision that was interrupted goes on.
 */
export async function decide(
  { registry, operators }: LocalGateway,
  to: Deployed,
  name: string,
  args: readonly unknown[] = [],
): Promise<void> {
  const reader = operators[0]!;
  const callHash = keccak256(encodeFunctionData({ abi: to.abi, functionName: name, args }));
  const action = await reader.read({ to: registry, name: 'actionOf', args: [to.address, callHash] });
  const given = BigInt(String(await reader.read({ to: registry, name: 'approvalsOf', args: [action] })));
  const missing = operators.filter((_, i) => (given & (1n << BigInt(i))) === 0n);
  const quorum = operators.length - Math.floor((operators.length - 1) / 3);
  const needed = quorum - (operators.length - missing.length);
  for (const operator of missing.slice(0, needed)) await operator.send({ to, name, args });
}

/**
 * Network id, configuration 0 and the members of epoch 0; the epoch is active once all are enrolled. What the chain has already
 * stays as it is.
 * @throws {KmsError} BAD_GENESIS if it is another network's
 */
export async function foundGateway(
  gateway: LocalGateway,
  networkId: Hex,
  configuration: Hex,
  t: number,
  nodes: readonly ProposedNode[],
): Promise<void> {
  const { registry } = gateway;
  const read = (name: string, ...args: readonly unknown[]): Promise<unknown> =>
    gateway.operators[0]!.read({ to: registry, name, args });
  const begun = await read('networkId');
  if (BigInt(String(begun)) === 0n) await decide(gateway, registry, 'begin', [networkId]);
  else if (begun !== networkId) throw new KmsError('BAD_GENESIS', "the registry is another network's");
  await publishConfigurations(gateway, [configuration]);
  const signers = await Promise.all(nodes.map((_, i) => read('signerOf', 0n, i + 1)));
  const isProposed = nodes.every(
    ({ signer }, i) => String(signers[i]).toLowerCase() === signer.toLowerCase(),
  );
  if (!isProposed) await decide(gateway, registry, 'proposeEpoch', [0n, t, nodes]);
}

/** Those that the chain has not. @param digests of configurations 0, 1, 2, ... */
export async function publishConfigurations(gateway: LocalGateway, digests: readonly Hex[]): Promise<void> {
  const { registry, operators } = gateway;
  const known = Number(await operators[0]!.read({ to: registry, name: 'configurationCount' }));
  for (const [number, digest] of [...digests.entries()].slice(known)) {
    await decide(gateway, registry, 'publishConfiguration', [BigInt(number), digest]);
  }
}

/** By a quorum of operators. @returns the command as Keys.respond takes it */
export async function command(
  gateway: LocalGateway,
  kind: number,
  payload: Hex,
  lifetimeS = 3600n,
): Promise<Readonly<Record<string, unknown>>> {
  const { keys, operators } = gateway;
  const reader = operators[0]!;
  const count = await reader.read({ to: keys, name: 'commandCount' });
  const salt = BigInt(
    keccak256(encodeAbiParameters([{ type: 'bytes' }, { type: 'string' }], [payload, String(count)])),
  );
  await decide(gateway, keys, 'request', [kind, payload, lifetimeS, salt]);
  const events = await reader.client.getContractEvents({
    ...keys,
    eventName: 'CommandRequested',
    fromBlock: 0n,
  });
  const args: unknown = events.at(-1)?.args;
  const requested = isRecord(args) ? args.command : undefined;
  if (!isRecord(requested)) throw new KmsError('INTERNAL', 'the command left no event');
  return requested;
}

function officesOn(chain: ChainPlace): Pick<LocalGateway, 'operators' | 'coprocessors'> {
  const account = (index: number): LocalAccount => new LocalAccount(chain, index);
  return {
    operators: Array.from({ length: OPERATORS }, (_, i) => account(operatorOf(i + 1))),
    coprocessors: Array.from({ length: COPROCESSORS }, (_, i) => account(coprocessorOf(i + 1))),
  };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
