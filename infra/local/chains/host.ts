import { type Address, type Hex, isAddress } from 'viem';
import { KmsError } from '../../../shared/errors.ts';
import { type Deployed, LocalAccount } from './account.ts';
import type { ChainPlace } from './anvil.ts';
import { codeHashOf, compiled, decide, type LocalGateway } from './gateway.ts';

/** A host chain of a founded network. */
export interface LocalHost {
  readonly chain: ChainPlace;
  readonly deployer: LocalAccount;
  readonly verifier: Deployed;
  readonly keyring: Deployed;
  readonly accessControl: Deployed;
  readonly submitters: Deployed;
  readonly compute: Deployed;
  readonly oracle: Deployed;
}

/** The committee that the host's verifier begins with. */
export interface FirstCommittee {
  readonly epoch: bigint;
  readonly t: number;
  readonly signers: readonly Address[];
}

/** Deploys the host contracts and makes the host known to the gateway. @param submitters may bring inputs */
export async function deployHost(
  chain: ChainPlace,
  gateway: LocalGateway,
  { epoch, t, signers }: FirstCommittee,
  submitters: readonly Address[],
): Promise<LocalHost> {
  const deployer = new LocalAccount(chain, 0);
  const { registry } = gateway;
  const first = [BigInt(gateway.chain.chainId), registry.address, epoch, t, signers];
  const verifier = await deployer.deploy(compiled('KmsVerifier'), first);
  const keyring = await deployer.deploy(compiled('Keyring'), [verifier.address]);
  const accessControl = await deployer.deploy(compiled('AccessControl'));
  const inputs = await deployer.deploy(compiled('Submitters'), [submitters]);
  const compute = await deployer.deploy(
    compiled('Compute'),
    [accessControl, keyring, inputs].map(({ address }) => address),
  );
  const oracle = await deployer.deploy(
    compiled('DecryptionOracle'),
    [verifier, accessControl, compute].map(({ address }) => address),
  );
  await deployer.send({ to: accessControl, name: 'open', args: [compute.address, oracle.address] });
  const codeHash = (of: Deployed): Promise<Hex> => codeHashOf(deployer, of);
  const known = {
    chainId: BigInt(chain.chainId),
    verifier: verifier.address,
    oracle: oracle.address,
    accessControl: accessControl.address,
    compute: compute.address,
    verifierCodeHash: await codeHash(verifier),
    oracleCodeHash: await codeHash(oracle),
    accessControlCodeHash: await codeHash(accessControl),
    computeCodeHash: await codeHash(compute),
    confirmations: 1n,
  };
  await decide(gateway, registry, 'setHostChain', [known]);
  return { chain, deployer, verifier, keyring, accessControl, submitters: inputs, compute, oracle };
}

/**
 * One that deployHost() made known to the gateway. Undefined: it did not come so far, and what it left on the chain is nobody's.
 */
export async function openHost(chain: ChainPlace, gateway: LocalGateway): Promise<LocalHost | undefined> {
  const deployer = new LocalAccount(chain, 0);
  const { registry, operators } = gateway;
  const id = BigInt(chain.chainId);
  const hash = await operators[0]!.read({ to: registry, name: 'hostChainHashes', args: [id] });
  if (BigInt(String(hash)) === 0n) return undefined;
  const at = (name: string, address: unknown): Deployed => {
    if (typeof address !== 'string' || !isAddress(address)) throw new KmsError('INTERNAL', `no ${name}`);
    return { address, abi: compiled(name).abi };
  };
  const known: unknown = await operators[0]!.read({ to: registry, name: 'hostChain', args: [id] });
  const named = new Map<string, unknown>(Object.entries(known ?? {}));
  const compute = at('Compute', named.get('compute'));
  const of = (name: string): Promise<unknown> => deployer.read({ to: compute, name });
  return {
    ...{ chain, deployer, compute },
    verifier: at('KmsVerifier', named.get('verifier')),
    oracle: at('DecryptionOracle', named.get('oracle')),
    accessControl: at('AccessControl', named.get('accessControl')),
    keyring: at('Keyring', await of('keyring')),
    submitters: at('Submitters', await of('inputs')),
  };
}
