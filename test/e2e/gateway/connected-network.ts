import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Address, bytesToHex, type Hex, hexToBytes, toHex } from 'viem';
import { NetworkKey } from '../../../client/sdk/network-key.ts';
import { nodePrimitives } from '../../../enclave/primitives.ts';
import { type ChainAccount, chainAccount } from '../../../gateway/adapter/account.ts';
import type { ChainConfig } from '../../../gateway/adapter/config-file.ts';
import type { Endpoint } from '../../../gateway/adapter/endpoint.ts';
import { httpEndpoint } from '../../../gateway/adapter/endpoint.ts';
import { silentChainLog } from '../../../gateway/adapter/log.ts';
import { connect } from '../../../gateway/relayer/connect.ts';
import { Relayer } from '../../../gateway/relayer/relayer.ts';
import type { ChainPlace } from '../../../infra/local/chains/anvil.ts';
import { command } from '../../../infra/local/chains/gateway.ts';
import type { LocalHost } from '../../../infra/local/chains/host.ts';
import type { ConnectorConfig } from '../../../parent/connector/config.ts';
import { Connector } from '../../../parent/connector/connector.ts';
import { type Enclave, EnclaveClient } from '../../../parent/connector/enclave-client.ts';
import type { Silence } from '../../../parent/connector/rotation.ts';
import { presetByName } from '../../../shared/fhe/presets.ts';
import { presetCode } from '../../../shared/gateway/key-state.ts';
import { signDigest } from '../../../shared/gateway/signature.ts';
import { Kernel } from '../../../shared/math/kernel/kernel.ts';
import { committeeOf } from '../../../shared/network/configuration.ts';
import { eventually } from '../../adversary/membership/live-nodes.ts';
import { freePort } from '../../unit/net/nodes.ts';
import { EnclaveNetwork, SUBMITTER } from './enclave-network.ts';
import { encoded, lastEvent } from './founded.ts';
import { rpc } from './played-network.ts';

export const EVERYBODY: Address = '0x0000000000000000000000000000000000000000';
/** KeyStates.ACTIVE. */
const ACTIVE = 2;
/** How programs look again: sooner than by themselves, for tests that take things away from them. */
const QUICK = { backoff: { firstMs: 50, longestMs: 500 }, pollMs: 50 };

export interface Logged {
  readonly event: string;
  readonly item: string | undefined;
  readonly code: string | undefined;
  readonly count: number | undefined;
}

export interface RunningConnector {
  readonly party: number;
  readonly account: ChainAccount;
  /** `http://host:port` for users. */
  readonly url: string;
  readonly logged: readonly Logged[];
  /** Nothing is done any more, at whatever step it is. */
  kill(): void;
  /** Resolves when it has ended. */
  stop(): Promise<void>;
}

export interface ConnectorChanges {
  readonly endpoint?: (endpoint: Endpoint, kill: () => void, chainId: bigint) => Endpoint;
  readonly enclave?: (enclave: Enclave) => Enclave;
  readonly silence?: Silence;
}

/** The network's key, for those who encrypt. */
export interface KnownKey {
  readonly id: Hex;
  readonly key: NetworkKey;
}

/** What a handle is, as the chains know it. */
export interface BroughtHandle {
  readonly handle: Hex;
  readonly envelope: Uint8Array;
}

/**
 * Live enclaves on local chains, each with the connector of its parent, and a relayer. The test plays users, contracts and coprocessors,
 * who keep their envelopes in a directory.
 */
export class ConnectedNetwork implements AsyncDisposable {
  readonly enclaves: EnclaveNetwork;
  readonly connectors: (RunningConnector | undefined)[] = [];
  readonly #directory: string;
  readonly #accounts: readonly ChainAccount[];
  readonly #ending = new AbortController();
  readonly #pace: Partial<typeof QUICK>;
  #relaying: Promise<void> | undefined;

  private constructor(
    enclaves: EnclaveNetwork,
    directory: string,
    accounts: readonly ChainAccount[],
    pace: Partial<typeof QUICK>,
  ) {
    [this.enclaves, this.#directory, this.#accounts, this.#pace] = [enclaves, directory, accounts, pace];
  }

  static async start(pace: Partial<typeof QUICK> = QUICK): Promise<ConnectedNetwork> {
    const enclaves = await EnclaveNetwork.start();
    const directory = await mkdtemp(join(tmpdir(), 'kms-connector-'));
    const accounts = [1, 2, 3, 4, 5].map((i) => chainAccount(toHex(0xc0_22ec + i, { size: 32 })));
    const network = new ConnectedNetwork(enclaves, directory, accounts, pace);
    await mkdir(network.#envelopes);
    for (const chain of [enclaves.chains.gateway.chain, ...enclaves.chains.hosts]) {
      for (const { address } of accounts) {
        await rpc(chain, 'anvil_setBalance', address, '0x56bc75e2d63100000');
      }
    }
    await network.#relay();
    await network.startAll();
    return network;
  }

  get host(): LocalHost {
    return this.enclaves.hosts[0]!;
  }

  async startAll(): Promise<void> {
    for (const party of [1, 2, 3, 4]) {
      if (this.connectors[party - 1] === undefined) await this.startConnector(party);
    }
  }

  async stopAll(): Promise<void> {
    await Promise.all(this.connectors.map((one) => one?.stop()));
  }

  /** With the state that an earlier one of the same party left. */
  async startConnector(party: number, changes: ConnectorChanges = {}): Promise<RunningConnector> {
    const account = this.#accounts[party - 1]!;
    const port = await freePort();
    const one = new AbortController();
    const signal = AbortSignal.any([one.signal, this.#ending.signal]);
    const logged: Logged[] = [];
    const client = new EnclaveClient(this.enclaves.nodes.all[party - 1]!.link);
    const endpointOf = ({ url, chainId }: ChainConfig): Endpoint =>
      changes.endpoint?.(httpEndpoint({ url }), () => one.abort(), chainId) ?? httpEndpoint({ url });
    const ended = Connector.run({
      ...{ account, signal, endpointOf, ...this.#pace },
      ...(changes.silence === undefined ? {} : { silence: changes.silence }),
      config: this.#config(party, port),
      enclave: changes.enclave?.(client) ?? client,
      keys: client,
      log: (_level, event, fields) => {
        const { item, code, count } = fields ?? {};
        logged.push({ event, item, code, count });
      },
    })
      .catch((error: unknown) => {
        if (!signal.aborted) throw error;
      })
      .finally(() => client.close());
    const running: RunningConnector = {
      ...{ party, account, logged, url: `http://127.0.0.1:${port}` },
      kill: () => one.abort(),
      stop: async () => {
        one.abort();
        await ended;
        if (this.connectors[party - 1] === running) this.connectors[party - 1] = undefined;
      },
    };
    this.connectors[party - 1] = running;
    await eventually(async () => signal.aborted || logged.some(({ event }) => event === 'connector-started'));
    return running;
  }

  get running(): readonly RunningConnector[] {
    return this.connectors.flatMap((one) => (one === undefined ? [] : [one]));
  }

  /** Operators command, and that is all. @returns when every node has responded */
  async command(kind: number, types: readonly string[], values: readonly unknown[]): Promise<void> {
    const { gateway } = this.enclaves.chains;
    const { relayer } = this.enclaves;
    const { id } = (await command(gateway, kind, encoded(types, values))) as { readonly id: bigint };
    await eventually(async () => {
      const events = await relayer.client.getContractEvents({
        ...{ ...gateway.keys, eventName: 'CommandResponse', fromBlock: 0n },
      });
      const responses = events.map(({ args }) => args as unknown as { readonly id: bigint });
      return responses.filter((one) => one.id === id).length === 4;
    });
    const phase = await relayer.read({ to: gateway.keys, name: 'phases', args: [id] });
    if (phase !== 2) throw new Error('the command is not activated');
  }

  /** An active key, by commands, which the host chains know too. */
  async makeKey(): Promise<KnownKey> {
    await this.command(1, ['uint8', 'uint8'], [presetCode(presetByName('test-4096')), 0]);
    const key = await this.#openKey();
    const id: Hex = `0x${key.id}`;
    await this.command(5, ['bytes32', 'uint8'], [id, ACTIVE]);
    for (const { deployer, keyring } of this.enclaves.hosts) {
      await eventually(async () => {
        const known = await deployer.read({ to: keyring, name: 'keys', args: [id] });
        return (known as { readonly state: number }).state === ACTIVE;
      });
    }
    return { id, key };
  }

  async #openKey(): Promise<NetworkKey> {
    const { networkId, epochStart } = this.enclaves.nodes.chain;
    const { configuration } = epochStart.signed;
    const among = {
      ...{ networkId, configuration: epochStart.digest, epoch: configuration.epoch },
      ...{ primitives: nodePrimitives, committee: committeeOf(configuration) },
      identities: new Map(configuration.members.map(({ party, identity }) => [party, identity])),
    };
    const { node } = this.enclaves.nodes.all[0]!;
    const [id] = await node.listKeys();
    return NetworkKey.open(await Kernel.load(), among, id!, await node.getKey(id!));
  }

  /** Brings an envelope in on a host chain. */
  async input(envelope: Uint8Array, keyId: Hex, host: LocalHost = this.host): Promise<BroughtHandle> {
    const { deployer, compute, submitters } = host;
    const by = deployer.address;
    const digest = bytesToHex(nodePrimitives.sha256(envelope));
    const toSign = await deployer.read({
      to: submitters,
      name: 'inputDigest',
      args: [by, by, digest, keyId, 1],
    });
    const proof = bytesToHex(signDigest(hexToBytes(toSign as Hex), SUBMITTER));
    await deployer.send({ to: compute, name: 'input', args: [digest, keyId, 1, by, proof] });
    return this.computed(envelope, host);
  }

  /** Two of three coprocessors commit the newest handle's envelope, which all keep. */
  async computed(envelope: Uint8Array, host: LocalHost = this.host): Promise<BroughtHandle> {
    const event = await lastEvent(host.deployer, host.compute, 'Computed');
    const { handle, provenance, derivation } = event as {
      readonly handle: Hex;
      readonly provenance: Hex;
      readonly derivation: {
        readonly keyId: Hex;
        readonly kind: number;
        readonly level: number;
        readonly bound: bigint;
      };
    };
    const { keyId, kind, level, bound } = derivation;
    const digest = bytesToHex(nodePrimitives.sha256(envelope));
    await this.#commit([{ handle, keyId, digest, kind, level, bound, provenance }], []);
    await writeFile(join(this.#envelopes, handle.slice(2)), envelope);
    return { handle, envelope };
  }

  /** Two of three coprocessors say that accounts of the host chain may use a handle. */
  async mirror(handle: Hex, accounts: readonly Address[]): Promise<void> {
    const hostChainId = BigInt(this.host.chain.chainId);
    await this.#commit(
      [],
      accounts.map((account) => ({ handle, hostChainId, account, version: 1n, allowed: true })),
    );
  }

  /** The host's owner makes a handle public, and coprocessors mirror it. */
  async publish(handle: Hex): Promise<void> {
    const { deployer, accessControl } = this.host;
    await deployer.send({ to: accessControl, name: 'publish', args: [handle] });
    await this.mirror(handle, [EVERYBODY]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.stopAll();
    await this.#relaying;
    await this.enclaves[Symbol.asyncDispose]();
    await rm(this.#directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  }

  get #envelopes(): string {
    return join(this.#directory, 'envelopes');
  }

  async #commit(ciphertexts: readonly object[], grants: readonly object[]): Promise<void> {
    const { ciphertexts: to, coprocessors } = this.enclaves.chains.gateway;
    for (const one of coprocessors.slice(0, 2)) {
      await one.send({ to, name: 'commit', args: [ciphertexts, grants] });
    }
  }

  #config(party: number, port: number): ConnectorConfig {
    const { gateway } = this.enclaves.chains;
    return {
      stateDirectory: join(this.#directory, `connector-${party}`),
      accountKeyFile: '',
      listen: { host: '127.0.0.1', port },
      gateway: { ...chainOf(gateway.chain), registry: gateway.registry.address.toLowerCase() as Hex },
      hosts: this.enclaves.chains.hosts.map(chainOf),
      envelopes: [{ directory: join(this.#directory, 'nowhere') }, { directory: this.#envelopes }],
    };
  }

  async #relay(): Promise<void> {
    const { signal } = this.#ending;
    const stateDirectory = join(this.#directory, 'relayer');
    const config = {
      ...this.#config(5, 0),
      stateDirectory,
      committeeChangesDirectory: undefined,
      lifetimeS: 600,
      maxFeePerHandleWei: 0n,
    };
    const network = await connect(config, this.#accounts[4]!, silentChainLog, signal);
    const relayer = await Relayer.open({
      ...{ network, stateDirectory, signal, gatewayFinality: 'finalized', ...this.#pace },
      follow: new Map(config.hosts.map((host) => [host.chainId, host])),
    });
    this.#relaying = relayer.run();
  }
}

function chainOf({ chainId, url }: ChainPlace): ChainConfig {
  return { url, chainId: BigInt(chainId), startBlock: 0n, finality: 'finalized' };
}
