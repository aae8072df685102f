import {
  type Abi,
  type Account,
  type Address,
  bytesToHex,
  createPublicClient,
  createWalletClient,
  defineChain,
  type Hex,
  http,
  type NonceManager,
  type PublicClient,
  type TransactionReceipt,
} from 'viem';
import { mnemonicToAccount, privateKeyToAccount } from 'viem/accounts';
import { createNonceManager, jsonRpc } from 'viem/nonce';
import { KmsError } from '../../../shared/errors.ts';
import type { CompiledContract } from '../../build/contracts.ts';
import type { ChainPlace } from './anvil.ts';

/** Foundry's public mnemonic: accounts 0..9 of a local chain are rich. */
const MNEMONIC = 'test test test test test test test test test test test junk';
/** Its children are the accounts. */
const PARENT_PATH = "m/44'/60'/0'/0";
const POLL_MS = 50;

const parentKey = (): ReturnType<ReturnType<typeof mnemonicToAccount>['getHdKey']> =>
  mnemonicToAccount(MNEMONIC, { path: PARENT_PATH }).getHdKey();
const nonces = new Map<string, NonceManager>();
let known: ReturnType<typeof parentKey> | undefined;

/** Of one of the well-known accounts. */
export function localSecret(index: number): Hex {
  // The mnemonic is stretched once.
  known ??= parentKey();
  const { privateKey } = known.deriveChild(index);
  if (privateKey === null) throw new KmsError('INTERNAL', `there is no account ${index}`);
  return bytesToHex(privateKey);
}

/** A deployed contract. */
export interface Deployed {
  readonly address: Address;
  readonly abi: Abi;
}

export interface Call {
  readonly to: Deployed;
  readonly name: string;
  readonly args?: readonly unknown[];
  readonly value?: bigint;
  readonly gas?: bigint;
}

/** One of the rich accounts of a local chain, which sends and waits. */
export class LocalAccount {
  readonly address: Address;
  readonly client: PublicClient;
  readonly #account: Account;
  readonly #wallet: ReturnType<typeof walletOf>;

  constructor(chain: ChainPlace, index: number) {
    const account = privateKeyToAccount(localSecret(index), { nonceManager: noncesOf(chain) });
    this.#account = account;
    this.address = account.address;
    this.client = createPublicClient({ chain: chainOf(chain), transport: http(), pollingInterval: POLL_MS });
    this.#wallet = walletOf(chain, account);
  }

  /** @throws {KmsError} INTERNAL if the constructor reverts */
  async deploy({ name, abi, bytecode }: CompiledContract, args: readonly unknown[] = []): Promise<Deployed> {
    const hash = await this.#wallet.deployContract({ abi, bytecode, args });
    const { contractAddress } = await this.#mined(hash, name);
    if (!contractAddress) throw new KmsError('INTERNAL', `${name} was not deployed`);
    return { address: contractAddress, abi };
  }

  /** @throws viem's error if the call would revert; {KmsError} INTERNAL if it reverts on chain */
  async send({ to, name, args = [], value = 0n, gas }: Call): Promise<TransactionReceipt> {
    const limit = gas === undefined ? {} : { gas };
    const call = { ...to, functionName: name, args, value, account: this.#account, ...limit };
    const { request } = await this.client.simulateContract(call);
    return this.#mined(await this.#wallet.writeContract(request), name);
  }

  read({ to, name, args = [] }: Call): Promise<unknown> {
    return this.client.readContract({ ...to, functionName: name, args });
  }

  async #mined(hash: Hex, name: string): Promise<TransactionReceipt> {
    const receipt = await this.client.waitForTransactionReceipt({ hash });
    if (receipt.status !== 'success') throw new KmsError('INTERNAL', `${name} reverted on the local chain`);
    return receipt;
  }
}

/** Of one chain: viem's own one takes another chain with the same id, of another network in this process, for the same. */
function noncesOf({ url }: ChainPlace): NonceManager {
  const known = nonces.get(url) ?? createNonceManager({ source: jsonRpc() });
  nonces.set(url, known);
  return known;
}

function walletOf(chain: ChainPlace, account: Account) {
  return createWalletClient({ account, chain: chainOf(chain), transport: http() });
}

function chainOf({ chainId, url }: ChainPlace) {
  return defineChain({
    id: chainId,
    name: `local ${chainId}`,
    nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
    rpcUrls: { default: { http: [url] } },
  });
}
