import { type Address, encodeAbiParameters, type Hex, keccak256 } from 'viem';
import { KmsError } from '../../../shared/errors.ts';
import { type CompiledContract, contracts } from '../../build/contracts.ts';
import { type Deployed, LocalAccount } from './account.ts';
import { COPROCESSORS, OPERATORS } from './accounts.ts';
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
  const account = (index: number): LocalAccount => new LocalAccount(chain, index);
  const operators = Array.from({ length: OPERATORS }, (_, i) => account(i));
  const coprocessors = Array.from({ length: COPROCESSORS }, (_, i) => account(OPERATORS + i));
  const deployer = operators[0]!;
  const registry = await deployer.deploy(compiled('Registry'), [operators.map(({ address }) => address)]);
  const keys = await deployer.deploy(compiled('Keys'), [registry.address]);
  const ciphertexts = await deployer.deploy(compiled('Ciphertexts'), [registry.address, keys.address]);
  const decryptions = await deployer.deploy(
    compiled('Decryptions'),
    [registry, keys, ciphertexts].map(({ address }) => address),
  );
  const code = await deployer.client.getCode({ address: registry.address });
  if (code === undefined) throw new KmsError('INTERNAL', 'the registry has no code');
  const registryCodeHash = keccak256(code);
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

/** The same call from as many operators as must agree; the last one carries it out. */
export async function decide(
  { operators }: LocalGateway,
  to: Deployed,
  name: string,
  args: readonly unknown[] = [],
): Promise<void> {
  const quorum = operators.length - Math.floor((operators.length - 1) / 3);
  for (const operator of operators.slice(0, quorum)) await operator.send({ to, name, args });
}

/** Network id, configuration 0 and the members of epoch 0; the epoch is active once all are enrolled. */
export async function foundGateway(
  gateway: LocalGateway,
  networkId: Hex,
  configuration: Hex,
  t: number,
  nodes: readonly ProposedNode[],
): Promise<void> {
  const { registry } = gateway;
  await decide(gateway, registry, 'begin', [networkId]);
  await decide(gateway, registry, 'publishConfiguration', [0n, configuration]);
  await decide(gateway, registry, 'proposeEpoch', [0n, t, nodes]);
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

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
