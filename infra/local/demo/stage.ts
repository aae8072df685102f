import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Address, getAddress, hexToBytes } from 'viem';
import { readWallet } from '../../../client/cli/account-file.ts';
import type { Decryption } from '../../../client/gateway/decryption.ts';
import { GatewayClient } from '../../../client/gateway/gateway-client.ts';
import {
  type ChainPlace,
  decodeGatewayFile,
  type GatewayPlaces,
} from '../../../client/gateway/gateway-file.ts';
import type { PreparedInput } from '../../../client/gateway/handles.ts';
import type { Waiting } from '../../../client/gateway/waiting.ts';
import type { Wallet } from '../../../client/gateway/wallet.ts';
import { KmsClient } from '../../../client/sdk/kms-client.ts';
import type { NetworkKey } from '../../../client/sdk/network-key.ts';
import { systemRng } from '../../../enclave/primitives.ts';
import { type Hex, hexOf } from '../../../gateway/adapter/chain-data.ts';
import { codeOf, KmsError } from '../../../shared/errors.ts';
import { presetByName } from '../../../shared/fhe/presets.ts';
import type { Value } from '../../../shared/fhe/value.ts';
import { keyStates, presetCode } from '../../../shared/gateway/key-state.ts';
import { commandKinds } from '../../../shared/gateway/policy/payload.ts';
import { word } from '../../../shared/gateway/word.ts';
import { generateUserKey } from '../../../shared/protocol/user-decryption/hpke.ts';
import { concat, fromHex } from '../../../shared/wire/bytes.ts';
import { command, type LocalGateway, openGateway } from '../chains/gateway.ts';
import { type LocalHost, openHost } from '../chains/host.ts';
import type { LocalNetwork } from '../network.ts';
import { GATEWAY_FILE } from '../programs/program-files.ts';
import { expectValue, randomValue } from './computation.ts';
import { eventually } from './eventually.ts';

const OPERATORS = [1, 2, 3, 4];
const RESTART_TIMEOUT_MS = 30_000;
const RETRY_MS = 100;
/** Its keys are made in no time, and protect nothing. */
export const SMALL_PRESET = 'test-4096';
const CARRIED_OUT = 2;
const WRONG_SHARE = '"event":"peer-wrong-share"';

/** A running network, and the people who use it: what every step of the demo has at hand. */
export class Stage {
  readonly network: LocalNetwork;
  readonly kms: KmsClient;
  readonly gateway: GatewayClient;
  readonly places: GatewayPlaces;
  readonly user: Wallet;
  readonly #submitter: Wallet;
  readonly #operators: readonly Wallet[];
  #key: NetworkKey | undefined;

  private constructor(
    parts: Pick<Stage, 'network' | 'kms' | 'gateway' | 'places' | 'user'>,
    submitter: Wallet,
    operators: readonly Wallet[],
  ) {
    this.network = parts.network;
    this.kms = parts.kms;
    this.gateway = parts.gateway;
    this.places = parts.places;
    this.user = parts.user;
    [this.#submitter, this.#operators] = [submitter, operators];
  }

  /** @param network up, with a gateway @param waiting how clients wait */
  static async open(network: LocalNetwork, waiting: Partial<Waiting>): Promise<Stage> {
    const kms = await clientOf(network, waiting);
    const places = decodeGatewayFile(new Uint8Array(await readFile(join(network.directory, GATEWAY_FILE))));
    const gateway = await GatewayClient.connect({ kms, places, ...waiting });
    const wallet = (name: string): Promise<Wallet> => walletOf(network, name);
    const operators = await Promise.all(OPERATORS.map((number) => wallet(`operator-${number}`)));
    const user = await wallet('user');
    return new Stage({ network, kms, gateway, places, user }, await wallet('submitter'), operators);
  }

  [Symbol.dispose](): void {
    this.kms[Symbol.dispose]();
  }

  /** The key that the demo is about. */
  get key(): NetworkKey {
    if (this.#key === undefined) throw new KmsError('INTERNAL', 'there is no key yet');
    return this.#key;
  }

  /** @throws what GatewayClient.generateKey() throws */
  async makeKey(preset: string): Promise<NetworkKey> {
    const key = await this.gateway.generateKey({ operators: this.#operators, preset, galois: 'none' });
    this.#key ??= key;
    return key;
  }

  /** Of the gateway and of the first host chain. */
  async contracts(): Promise<{ readonly gateway: LocalGateway; readonly host: LocalHost }> {
    const { gateway: place, hosts } = this.places;
    const [first] = hosts;
    const gateway = await openGateway(localPlace(place), getAddress(place.registry));
    const host = first === undefined ? undefined : await openHost(localPlace(first), gateway);
    if (host === undefined) throw new KmsError('INTERNAL', 'the gateway knows no host chain');
    return { gateway, host };
  }

  /** One that is not activated, for what it changes in the nodes, all of which have their shares and have said so. @throws {KmsError} TIMEOUT */
  async makeSpareKey(): Promise<void> {
    const preset = presetCode(presetByName(SMALL_PRESET));
    const id = await this.#command(commandKinds.keyGeneration, concat(word(BigInt(preset)), word(0n)));
    const { gateway } = await this.contracts();
    const [reader] = gateway.operators;
    const hasSaid = async ({ party }: { readonly party: number }): Promise<boolean> =>
      BigInt(String(await reader!.read({ to: gateway.keys, name: 'responses', args: [id, party] }))) !== 0n;
    await eventually('all nodes have their shares', async () =>
      (await Promise.all(this.kms.network.members.map(hasSaid))).every((one) => one),
    );
  }

  /** The key encrypts no more: its preset can have another active one. @throws {KmsError} TIMEOUT */
  async deactivate({ id }: NetworkKey): Promise<void> {
    await this.#command(commandKinds.lifecycle, concat(fromHex(id), word(BigInt(keyStates.deactivated))));
  }

  /** By a quorum of operators, carried out by the nodes. @returns its id */
  async #command(kind: number, payload: Uint8Array): Promise<unknown> {
    const { gateway } = await this.contracts();
    const [reader] = gateway.operators;
    const { id } = await command(gateway, kind, hexOf(payload));
    await eventually(`the nodes carry out command ${id}`, async () => {
      return (await reader!.read({ to: gateway.keys, name: 'phases', args: [id] })) === CARRIED_OUT;
    });
    return id;
  }

  wallet(name: string): Promise<Wallet> {
    return walletOf(this.network, name);
  }

  /** Encrypted and brought to the first host chain. */
  async bring(value: Value, account: Wallet = this.user, key: NetworkKey = this.key): Promise<Hex> {
    return this.gateway.input(await key.encrypt(value), { account, submitter: this.#submitter });
  }

  /** Encrypted, for a contract of the first host chain and a user who calls it. */
  async prepare(value: Value, contract: Address, user: Address): Promise<PreparedInput> {
    const [application, of] = [contract, user].map((address) => hexOf(hexToBytes(address)));
    return this.gateway.prepareInput(await this.key.encrypt(value), {
      ...{ application: application!, user: of!, submitter: this.#submitter },
    });
  }

  /** In public. @param missing must not be among those that signed @throws {KmsError} INTERNAL for another value */
  async expectPublic(handle: Hex, expected: Value, missing: readonly number[] = []): Promise<Decryption> {
    const decryption = await this.gateway.decrypt(handle, { account: this.user });
    expectValue(decryption.value, expected);
    for (const party of missing) {
      if (!decryption.missing.some((one) => one === party)) {
        throw new KmsError('INTERNAL', `node ${party} should not have answered`);
      }
    }
    return decryption;
  }

  /** For an account alone. @throws {KmsError} INTERNAL for another value */
  async expectForUser(handle: Hex, expected: Value, account: Wallet = this.user): Promise<Decryption> {
    const decryption = await this.openForUser(handle, account);
    expectValue(decryption.value, expected);
    return decryption;
  }

  async openForUser(handle: Hex, account: Wallet): Promise<Decryption> {
    const userKey = await generateUserKey(systemRng);
    using _held = userKey.privateKey;
    return await this.gateway.userDecrypt(handle, { account, userKey });
  }

  /** A new ciphertext of a known number is decrypted, by all nodes unless some must be missing. */
  async decryptOnce(missing: readonly number[] = []): Promise<void> {
    const value = randomValue('scalar');
    await this.expectPublic(await this.bring(value), value, missing);
  }

  /** Until every other node's log names the party. @throws {KmsError} TIMEOUT */
  async expectAccused(party: number): Promise<void> {
    const others = this.kms.network.members.filter((member) => member.party !== party);
    const isAccused = async (by: number): Promise<boolean> => {
      const log = await readFile(join(this.network.directory, 'logs', `${by}-enclave.log`), 'utf8');
      return log.split('\n').some((line) => line.includes(WRONG_SHARE) && line.includes(`"party":${party}`));
    };
    await eventually(`the nodes name node ${party}`, async () =>
      (await Promise.all(others.map((other) => isAccused(other.party)))).every((one) => one),
    );
  }

  /** A node that starts belongs to no network for a moment, and is no peer until it has read its configuration. */
  async connected(): Promise<void> {
    const deadlineMs = performance.now() + RESTART_TIMEOUT_MS;
    for (;;) {
      try {
        return await this.network.connected();
      } catch (error) {
        if (codeOf(error) !== 'BAD_PEER' || performance.now() > deadlineMs) throw error;
        await sleep(RETRY_MS);
      }
    }
  }
}

async function clientOf(
  network: LocalNetwork,
  { timeoutMs }: Pick<Partial<Waiting>, 'timeoutMs'>,
): Promise<KmsClient> {
  return KmsClient.connect({
    ...(timeoutMs === undefined ? {} : { patience: { timeoutMs } }),
    genesis: new Uint8Array(await readFile(network.genesisFile)),
    configurations: new Uint8Array(await readFile(network.configurationsFile)),
  });
}

function localPlace({ chainId, url }: ChainPlace): { readonly chainId: number; readonly url: string } {
  return { chainId: Number(chainId), url };
}

function walletOf(network: LocalNetwork, name: string): Promise<Wallet> {
  return readWallet(join(network.directory, 'accounts', `${name}.key`));
}
