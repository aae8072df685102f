import { ciphertextsAbi, decryptionsAbi, keysAbi, registryAbi } from './abi/gateway.ts';
import { accessControlAbi, computeAbi, keyringAbi, oracleAbi, verifierAbi } from './abi/host.ts';
import type { Chain } from './chain.ts';
import type { Hex } from './chain-data.ts';
import { type Contract, read } from './contract.ts';

/** The gateway's contracts, as its registry names them. */
export interface GatewayContracts {
  readonly chain: Chain;
  readonly registry: Contract<typeof registryAbi>;
  readonly keys: Contract<typeof keysAbi>;
  readonly ciphertexts: Contract<typeof ciphertextsAbi>;
  readonly decryptions: Contract<typeof decryptionsAbi>;
}

/** A host chain's contracts, as the registry names them. */
export interface HostContracts {
  readonly chain: Chain;
  readonly oracle: Contract<typeof oracleAbi>;
  readonly verifier: Contract<typeof verifierAbi>;
  readonly accessControl: Contract<typeof accessControlAbi>;
  readonly compute: Contract<typeof computeAbi>;
  readonly keyring: Contract<typeof keyringAbi>;
  /** Who decides which inputs may come in. */
  readonly inputs: Hex;
}

export async function gatewayContracts(chain: Chain, registry: Hex): Promise<GatewayContracts> {
  const of = { chain, address: registry, abi: registryAbi };
  const [keys, ciphertexts, decryptions] = (await read(of, 'contracts', [])).map(lower);
  return {
    chain,
    registry: of,
    keys: { chain, address: keys!, abi: keysAbi },
    ciphertexts: { chain, address: ciphertexts!, abi: ciphertextsAbi },
    decryptions: { chain, address: decryptions!, abi: decryptionsAbi },
  };
}

/** @throws {KmsError} BAD_INPUT if the registry does not know the chain */
export async function hostContracts({ registry }: GatewayContracts, chain: Chain): Promise<HostContracts> {
  const named = await read(registry, 'hostChain', [chain.chainId]);
  const compute = { chain, address: lower(named.compute), abi: computeAbi };
  return {
    chain,
    compute,
    oracle: { chain, address: lower(named.oracle), abi: oracleAbi },
    verifier: { chain, address: lower(named.verifier), abi: verifierAbi },
    accessControl: { chain, address: lower(named.accessControl), abi: accessControlAbi },
    keyring: { chain, address: lower(await read(compute, 'keyring', [])), abi: keyringAbi },
    inputs: lower(await read(compute, 'inputs', [])),
  };
}

function lower(address: Hex): Hex {
  return address.toLowerCase() as Hex;
}
