import { type Address, type Hex, keccak256 } from 'viem';
import { KmsError } from '../../../shared/errors.ts';
import { type Deployed, LocalAccount } from './account.ts';
import type { ChainPlace } from './anvil.ts';
import { compiled, decide, type LocalGateway } from './gateway.ts';

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

async function codeHashOf({ client }: LocalAccount, { address }: Deployed): Promise<Hex> {
  const code = await client.getCode({ address });
  if (code === undefined) throw new KmsError('INTERNAL', `no code at ${address}`);
  return keccak256(code);
}
