import { mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CONFIGURATIONS_FILE, GENESIS_FILE } from '../../client/cli/network-files.ts';
import type { NodeCard } from '../../client/node-admin.ts';
import { mockChainHead } from '../../shared/attestation/roots/mock.ts';
import { KmsError } from '../../shared/errors.ts';
import type { Digest } from '../../shared/ids.ts';
import type { ConfigurationChain } from '../../shared/network/chain.ts';
import type { Storage } from '../../shared/network/storage.ts';
import { type CloudState, LocalCloud } from './cloud.ts';
import { type FoundedBuild, foundNetwork, GOVERNANCE_DIRECTORY, mockBuild, readNetwork } from './founding.ts';
import { freshState } from './fresh-state.ts';
import { KnownState } from './known-state.ts';
import type { ChainStatus, NetworkGateway } from './network-gateway.ts';
import {
  checkFits,
  classOf,
  DEFAULT_STATE_DIRECTORY,
  type NodeStatus,
  termsOf,
  type UpOptions,
  type UpProgress,
} from './network-options.ts';
import { parentConfig } from './node-config.ts';
import { NodeProcesses } from './node-processes.ts';
import { type AskedNode, askUntil, enrolmentsOf, joinOnce, statusOf } from './node-questions.ts';
import { freePort } from './process.ts';
import { NetworkPrograms } from './programs/network-programs.ts';
import type { ProgramStatus } from './programs/program-processes.ts';
import { type NetworkState, type NodeState, readState } from './state.ts';
import { CLOUD_DIRECTORY, eraseDirectory, eraseFounding } from './state-directory.ts';

const MACHINE_ENTRY = fileURLToPath(new URL('../lab/machine-enclave.ts', import.meta.url));
const START_TIMEOUT_MS = 120_000;

/**
 * A network on this machine for development: n nodes of two processes each, mock enclaves over unix sockets, loopback
 * ports. Its nodes outlive the process that started them; state.json in the state directory says how to find them.
 */
export class LocalNetwork {
  readonly directory: string;
  readonly #state: KnownState;
  readonly #processes: NodeProcesses;

  private constructor(directory: string, state: NetworkState) {
    this.directory = directory;
    this.#state = new KnownState(directory, state);
    this.#processes = new NodeProcesses(this.#state, (node) => this.#parentConfig(node));
  }

  /** The network of a state directory, up or down. @throws {KmsError} UNAVAILABLE if there is none */
  static async open(stateDirectory: string = DEFAULT_STATE_DIRECTORY): Promise<LocalNetwork> {
    const directory = resolve(stateDirectory);
    const state = await readState(directory);
    if (state === undefined) throw new KmsError('UNAVAILABLE', `there is no network in ${directory}`);
    return new LocalNetwork(directory, state);
  }

  /**
   * Starts a network and waits until all its nodes are connected; one that was there before continues with its keys, in
   * the configuration that its files hold now: parents move to new addresses, nodes are given what they do not know.
   * @throws {KmsError} BAD_INPUT if another n or t is asked for than the network there has, or a gateway that it has not; TIMEOUT, UNAVAILABLE
   */
  static async up(options: UpOptions = {}): Promise<LocalNetwork> {
    const directory = resolve(options.stateDirectory ?? DEFAULT_STATE_DIRECTORY);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const found = await readState(directory);
    const terms = termsOf(options);
    const state = found ?? {
      ...(await freshState(directory, terms, options.gateway === true, options.pollMs)),
      ...classOf(options.build),
    };
    checkFits(options, state, directory);
    const network = new LocalNetwork(directory, state);
    const limit = AbortSignal.timeout(options.startTimeoutMs ?? START_TIMEOUT_MS);
    const signal = options.signal === undefined ? limit : AbortSignal.any([options.signal, limit]);
    try {
      await network.#start(options, signal);
      return network;
    } catch (error) {
      await network.down();
      if (limit.aborted) {
        throw new KmsError('TIMEOUT', `nodes did not come up; see ${join(directory, 'logs')}`, {
          cause: error,
        });
      }
      throw error;
    }
  }

  get n(): number {
    return this.#state.all.n;
  }

  get t(): number {
    return this.#state.all.t;
  }

  /** Undefined until the nodes have joined. */
  get networkId(): Digest | undefined {
    return this.#state.networkId;
  }

  get genesisFile(): string {
    return join(this.directory, GENESIS_FILE);
  }

  get configurationsFile(): string {
    return join(this.directory, CONFIGURATIONS_FILE);
  }

  /** KMS and S3 of this network. */
  get cloud(): LocalCloud {
    return new LocalCloud(join(this.directory, CLOUD_DIRECTORY), this.n, this.#state.class);
  }

  /** Secret key of the operator of that node. */
  governanceKeyFile(party: number): string {
    return join(this.directory, GOVERNANCE_DIRECTORY, `${party}.key`);
  }

  /** Addresses by party 1..n in order. */
  get addresses(): readonly string[] {
    return this.#state.nodes.map(({ address }) => address);
  }

  /** Stops every process and removes every socket. Data stays unless it is to be erased. */
  async down({ erase = false }: { readonly erase?: boolean } = {}): Promise<void> {
    const gateway = await this.#gateway();
    await gateway?.programs.stop();
    await Promise.all(this.#state.nodes.map(({ party }) => this.stopNode(party)));
    await this.cloud.stop(this.#state.all.cloud);
    // After the nodes: no block that one of them believed is missing from what is written down.
    await gateway?.stop();
    await rm(this.#state.all.socketRoot, { recursive: true, force: true });
    if (!erase) return;
    await eraseDirectory(this.directory);
  }

  /** Stops one of a node's processes, or both. SIGKILL: without giving it time for anything. */
  stopNode(...what: Parameters<NodeProcesses['stop']>): Promise<void> {
    return this.#processes.stop(...what);
  }

  /** Starts those of a node's processes that do not run. @param entry another entry point from now on: the parent's if only that is started, else the enclave's */
  startNode(...what: Parameters<NodeProcesses['start']>): Promise<void> {
    return this.#processes.start(...what);
  }

  /**
   * Replaces a node's parent while its enclave goes on: the next one starts as the old one is told to stop, and takes its
   * sockets over. @param entry the next one's entry point; default: the real parent's
   */
  replaceParent(...what: Parameters<NodeProcesses['replaceParent']>): Promise<void> {
    return this.#processes.replaceParent(...what);
  }

  /**
   * Starts a program around the chains unless it runs: `coprocessor-1`, ..., `relayer`, `relayer-2`, ... with an account of its own
   * each, or `connector-<party>`.
   * @throws {KmsError} BAD_INPUT for another name, or without a gateway; UNAVAILABLE if it ends
   */
  async startProgram(name: string): Promise<void> {
    await this.#programs(await this.#gateway()).start(name);
  }

  /** Stops one; a connector's parent goes on without it. @throws {KmsError} BAD_INPUT as startProgram() */
  async stopProgram(name: string, signal?: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    await this.#programs(await this.#gateway()).stop(name, signal);
  }

  /** Connectors by party, coprocessors, relayers; none in a network without a gateway. */
  async programs(): Promise<readonly ProgramStatus[]> {
    const gateway = await this.#gateway();
    return gateway === undefined ? [] : this.#programs(gateway).status();
  }

  /** Loopback address at which a node's parent serves /health and /metrics; undefined before it was first started. */
  statusAddress(party: number): string | undefined {
    return this.#state.node(party).status;
  }

  /** @throws {KmsError} TIMEOUT unless each of these nodes is ready and reaches each other one of them; default: all nodes */
  async connected(
    parties: readonly number[] = this.#state.nodes.map(({ party }) => party),
    signal: AbortSignal = AbortSignal.timeout(START_TIMEOUT_MS),
    onProgress: (done: number) => void = () => {},
  ): Promise<void> {
    let done = 0;
    await Promise.all(
      parties.map(async (party) => {
        const others = parties.filter((other) => other !== party);
        const isConnected = (card: NodeCard): boolean =>
          card.phase === 'ready' && others.every((other) => card.connectedPeers.includes(other));
        await this.#card(party, isConnected, signal);
        onProgress(++done);
      }),
    );
  }

  async status(): Promise<readonly NodeStatus[]> {
    return Promise.all(this.#state.nodes.map((node) => statusOf(node, this.networkId)));
  }

  /** None in a network without a gateway; the gateway chain first. */
  async chains(): Promise<readonly ChainStatus[]> {
    return (await (await this.#gateway())?.status()) ?? [];
  }

  /** Undefined for a network without one, which needs none of the programs for chains. */
  async #gateway(): Promise<NetworkGateway | undefined> {
    const { chains } = this.#state.all;
    if (chains === undefined) return undefined;
    const { NetworkGateway } = await import('./network-gateway.ts');
    return new NetworkGateway(this.directory, {
      known: () => this.#state.all.chains ?? chains,
      save: (changed) => this.#state.change({ chains: changed }),
      connectors: () =>
        this.#state.nodes.flatMap(({ connector }) => (connector ? [`http://${connector}`] : [])),
    });
  }

  #programs(gateway: NetworkGateway | undefined): NetworkPrograms {
    if (gateway === undefined) {
      throw new KmsError('BAD_INPUT', 'the network has no gateway, so nothing runs around one');
    }
    const nodes = {
      all: () => this.#state.nodes,
      node: (party: number) => this.#state.node(party),
      change: (party: number, change: Partial<NodeState>) => this.#state.changeNode(party, change),
      replaceParent: (party: number, entry?: string, signal?: 'SIGTERM' | 'SIGKILL') =>
        this.replaceParent(party, entry, signal),
    };
    return new NetworkPrograms(nodes, gateway.programs);
  }

  async #start(options: UpOptions, signal: AbortSignal): Promise<void> {
    const report = (phase: UpProgress['phase'], done: number, total = this.n): void =>
      options.onProgress?.({ phase, done, total });
    await this.#forgetUnfinished();
    await this.#state.change({});
    const gateway = await this.#gateway();
    if (gateway !== undefined) report('chains', 0, 0);
    // Both to their end: what is still starting could not be stopped.
    for (const one of await Promise.allSettled([gateway?.start(signal), this.startCloud()])) {
      if (one.status === 'rejected') throw one.reason;
    }
    const known = this.networkId === undefined ? undefined : await readNetwork(this.directory);
    if (known !== undefined) await this.#move(known);
    for (const { party } of this.#state.nodes) {
      signal.throwIfAborted();
      report('starting', party - 1);
      const image = options.images?.get(party);
      if (image !== undefined)
        await this.#state.changeNode(party, { image: resolve(image), entry: MACHINE_ENTRY });
      const entry = image === undefined ? (options.entries?.get(party) ?? options.entry) : undefined;
      await this.startNode(party, {
        role: 'enclave',
        ...(entry === undefined ? {} : { entry: resolve(entry) }),
      });
    }
    // Enclaves boot meanwhile; connectors are told of the registry by their parents' configuration.
    if (known === undefined) await gateway?.deploy();
    for (const { party } of this.#state.nodes) {
      signal.throwIfAborted();
      await this.startNode(party, { role: 'parent' });
    }
    if (known === undefined) {
      report('founding', 0);
      const chain = await this.#found(options.build ?? mockBuild(), signal);
      for (const { party } of this.#state.nodes) {
        report('joining', party - 1);
        await joinOnce(this.#asked(party), chain, signal);
      }
    }
    await this.connected(undefined, signal, (done) => report('connecting', done));
    await this.#state.change({ isComplete: true });
    // Not before: what is on chain is there for good, and until now a founding that is broken off begins anew.
    await gateway?.found(
      known ?? (await readNetwork(this.directory)),
      () =>
        enrolmentsOf(
          this.#state.nodes.map(({ party }) => this.#asked(party)),
          signal,
        ),
      (done, total) => report('enrolling', done, total),
      signal,
    );
    if (gateway === undefined) return;
    report('serving', 0, 0);
    const programs = this.#programs(gateway);
    for (const { party } of this.#state.nodes) await programs.start(`connector-${party}`, signal);
    await gateway.serve(signal);
  }

  /** What the stand-in for S3 keeps for that node. */
  async bucketDirectory(party: number): Promise<string> {
    const chain = await readNetwork(this.directory);
    const member = chain.newest.signed.configuration.members[party - 1];
    if (member === undefined) throw new KmsError('BAD_INPUT', `there is no party ${party} in this network`);
    return join(this.cloud.bucketsDirectory, member.storage.bucket);
  }

  async stopCloud(): Promise<void> {
    await this.cloud.stop(this.#state.all.cloud);
  }

  /** Starts those stand-ins of cloud services that do not run. */
  async startCloud(): Promise<void> {
    const save = (cloud: CloudState): Promise<void> => this.#state.change({ cloud });
    await save(await this.cloud.start(this.#state.all.cloud, join(this.directory, 'logs'), save));
  }

  /** Until its first state is in effect a node's identity is in its process alone: a founding that was interrupted begins anew. */
  async #forgetUnfinished(): Promise<void> {
    if (this.#state.all.isComplete === true) return;
    await Promise.all(this.#state.nodes.map(({ party }) => this.stopNode(party)));
    await this.cloud.stop(this.#state.all.cloud);
    await this.cloud.erase();
    await eraseFounding(this.directory);
    const { networkId: _, ...state } = this.#state.all;
    await this.#state.replace(state);
  }

  /** Founded on what the nodes say they are, once; it is written down before any node is given it. */
  async #found(build: FoundedBuild, signal: AbortSignal): Promise<ConfigurationChain> {
    const { name, t, nodes } = this.#state.all;
    const members = await Promise.all(
      nodes.map(async ({ party, address }) => {
        const { identity, bootKey } = await this.#card(party, () => true, signal);
        return { identity, bootKey, address };
      }),
    );
    const provision = (networkId: Digest): Promise<readonly Storage[]> =>
      this.cloud.provision(this.#state.all.cloud, networkId, build.measurementOf);
    const gateway = await (await this.#gateway())?.deploy();
    const chain = await foundNetwork(this.directory, { name, t, members, provision, build, gateway });
    await this.#state.change({ networkId: chain.networkId });
    return chain;
  }

  /** Stops the parents whose address is another one in the configuration that is valid now; they start at the new one. */
  async #move(chain: ConfigurationChain): Promise<void> {
    const block = (await (await this.#gateway())?.block()) ?? mockChainHead(() => Date.now()).block();
    const valid = chain.validAt(block);
    for (const { party, address } of valid.at(-1)?.members ?? []) {
      if (this.#state.node(party).address === address) continue;
      await this.stopNode(party, { role: 'parent' });
      await this.#state.changeNode(party, { address });
    }
  }

  /** Asks until the node answers what is waited for. */
  #card(party: number, isGood: (card: NodeCard) => boolean, signal: AbortSignal): Promise<NodeCard> {
    return askUntil(this.#asked(party), isGood, signal);
  }

  #asked(party: number): AskedNode {
    return {
      state: () => this.#state.node(party),
      networkId: () => this.networkId,
      logFile: (role) => this.#processes.logFile(party, role),
    };
  }

  async #parentConfig(node: NodeState): Promise<object> {
    const hosts = this.cloud.hosts(this.#state.all.cloud);
    const { genesisFile, configurationsFile } = this;
    const credentialsFile = this.cloud.credentialsFile(node.party);
    const surroundings = { hosts, genesisFile, configurationsFile, credentialsFile };
    const gateway = await this.#gateway();
    if (gateway === undefined || node.isConnectorStopped === true) return parentConfig(node, surroundings);
    const { connector = `127.0.0.1:${await freePort()}` } = node;
    await this.#state.changeNode(node.party, { connector });
    return parentConfig(node, {
      ...surroundings,
      connector: await gateway.connectorOf(node.party, connector),
    });
  }
}
