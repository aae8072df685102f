import { mkdir, rm, rmdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { CONFIGURATIONS_FILE, GENESIS_FILE } from '../../client/cli/network-files.ts';
import { describeNode, joinNode, type NodeCard } from '../../client/node-admin.ts';
import type { NodePlace } from '../../client/node-channel.ts';
import { mockChainHead } from '../../shared/attestation/roots/mock.ts';
import { codeOf, KmsError } from '../../shared/errors.ts';
import { type Digest, digest } from '../../shared/ids.ts';
import type { ConfigurationChain } from '../../shared/network/chain.ts';
import type { Storage } from '../../shared/network/storage.ts';
import type { StandInClass } from './aws/endpoint-certificate.ts';
import { type CloudState, LocalCloud } from './cloud.ts';
import { type FoundedBuild, foundNetwork, GOVERNANCE_DIRECTORY, mockBuild, readNetwork } from './founding.ts';
import { freshState } from './fresh-state.ts';
import {
  classOf,
  DEFAULT_STATE_DIRECTORY,
  type NodeStatus,
  termsOf,
  type UpOptions,
  type UpProgress,
} from './network-options.ts';
import { freePort, isAlive, startProcess, stopProcess } from './process.ts';
import { type NetworkState, type NodeState, type Role, readState, STATE_FILE, writeState } from './state.ts';

const PARENT_ENTRY = fileURLToPath(new URL('../../parent/main.ts', import.meta.url));
const MACHINE_ENTRY = fileURLToPath(new URL('../lab/machine-enclave.ts', import.meta.url));
const CLOUD_DIRECTORY = 'cloud';
const ANCHOR_DIRECTORY = 'anchors';
/** What a network makes in its state directory; `client` is the command line's cache of public keys. */
const OWN_ENTRIES = [
  'nodes',
  'logs',
  'client',
  CLOUD_DIRECTORY,
  ANCHOR_DIRECTORY,
  GOVERNANCE_DIRECTORY,
  GENESIS_FILE,
  CONFIGURATIONS_FILE,
  STATE_FILE,
];
const START_TIMEOUT_MS = 120_000;
const POLL_MS = 50;

/**
 * A network on this machine for development: n nodes of two processes each, mock enclaves over unix sockets, loopback
 * ports. Its nodes outlive the process that started them; state.json in the state directory says how to find them.
 */
export class LocalNetwork {
  readonly directory: string;
  #state: NetworkState;
  #saving: Promise<unknown> = Promise.resolve();

  private constructor(directory: string, state: NetworkState) {
    this.directory = directory;
    this.#state = state;
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
   * @throws {KmsError} BAD_INPUT if another n or t is asked for than the network there has; TIMEOUT, UNAVAILABLE
   */
  static async up(options: UpOptions = {}): Promise<LocalNetwork> {
    const directory = resolve(options.stateDirectory ?? DEFAULT_STATE_DIRECTORY);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const found = await readState(directory);
    const state = found ?? { ...(await freshState(directory, termsOf(options))), ...classOf(options.build) };
    const { n, t } = state;
    if ((options.n ?? n) !== n || (options.t ?? t) !== t) {
      throw new KmsError(
        'BAD_INPUT',
        `the network in ${directory} has n=${n}, t=${t}; erase it or use another directory`,
      );
    }
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
    return this.#state.n;
  }

  get t(): number {
    return this.#state.t;
  }

  /** Undefined until the nodes have joined. */
  get networkId(): Digest | undefined {
    const { networkId } = this.#state;
    return networkId === undefined ? undefined : digest(networkId);
  }

  get genesisFile(): string {
    return join(this.directory, GENESIS_FILE);
  }

  get configurationsFile(): string {
    return join(this.directory, CONFIGURATIONS_FILE);
  }

  /** KMS and S3 of this network. */
  get cloud(): LocalCloud {
    return new LocalCloud(join(this.directory, CLOUD_DIRECTORY), this.n, this.#class);
  }

  get #class(): StandInClass {
    return this.#state.class ?? 'mock';
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
    await Promise.all(this.#state.nodes.map(({ party }) => this.stopNode(party)));
    await this.cloud.stop(this.#state.cloud);
    await rm(this.#state.socketRoot, { recursive: true, force: true });
    if (!erase) return;
    for (const entry of OWN_ENTRIES) await rm(join(this.directory, entry), { recursive: true, force: true });
    // Whatever else lies there is somebody's.
    await rmdir(this.directory).catch(() => {});
  }

  /** Stops one of a node's processes, or both. SIGKILL: without giving it time for anything. */
  async stopNode(
    party: number,
    { role, signal }: { readonly role?: Role; readonly signal?: 'SIGTERM' | 'SIGKILL' } = {},
  ): Promise<void> {
    const { processes } = this.#node(party);
    const roles: readonly Role[] = role === undefined ? ['parent', 'enclave'] : [role];
    for (const each of roles) {
      const id = processes[each];
      if (id !== undefined) await stopProcess(id, signal);
    }
  }

  /** Starts those of a node's processes that do not run. @param entry another entry point from now on: the parent's if only that is started, else the enclave's */
  async startNode(
    party: number,
    { role, entry }: { readonly role?: Role; readonly entry?: string } = {},
  ): Promise<void> {
    const node = this.#node(party);
    await mkdir(node.socketDirectory, { recursive: true, mode: 0o700 });
    if (entry !== undefined)
      await this.#change(party, role === 'parent' ? { parentEntry: entry } : { entry });
    const roles: readonly Role[] = role === undefined ? ['enclave', 'parent'] : [role];
    for (const each of roles) {
      const id = node.processes[each];
      if (id === undefined || !(await isAlive(id))) await this.#startProcess(party, each);
    }
  }

  /**
   * Replaces a node's parent while its enclave goes on: the next one starts as the old one is told to stop, and takes its
   * sockets over. @param entry the next one's entry point; default: the real parent's
   */
  async replaceParent(party: number, entry: string = PARENT_ENTRY): Promise<void> {
    const old = this.#node(party).processes.parent;
    await this.#change(party, { parentEntry: entry });
    const gone = old === undefined ? Promise.resolve() : stopProcess(old);
    try {
      await this.#startProcess(party, 'parent');
    } finally {
      await gone;
    }
  }

  /** Loopback address at which a node's parent serves /health and /metrics; undefined before it was first started. */
  statusAddress(party: number): string | undefined {
    return this.#node(party).status;
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
    return Promise.all(
      this.#state.nodes.map(async (node) => {
        const { party, address, processes } = node;
        const lives = async (role: Role): Promise<boolean> => {
          const id = processes[role];
          return id !== undefined && isAlive(id);
        };
        const [enclave, parent] = await Promise.all([lives('enclave'), lives('parent')]);
        const card =
          enclave && parent
            ? await describeNode(placeOf(node), this.networkId).catch(() => undefined)
            : undefined;
        return { party, address, enclave, parent, card };
      }),
    );
  }

  async #start(options: UpOptions, signal: AbortSignal): Promise<void> {
    const total = this.n;
    const report = (phase: UpProgress['phase'], done: number): void =>
      options.onProgress?.({ phase, done, total });
    await this.#forgetUnfinished();
    await writeState(this.directory, this.#state);
    await this.startCloud();
    const known = this.networkId === undefined ? undefined : await readNetwork(this.directory);
    if (known !== undefined) await this.#move(known);
    for (const { party } of this.#state.nodes) {
      signal.throwIfAborted();
      report('starting', party - 1);
      const image = options.images?.get(party);
      if (image !== undefined) await this.#change(party, { image: resolve(image), entry: MACHINE_ENTRY });
      const entry = image === undefined ? (options.entries?.get(party) ?? options.entry) : undefined;
      await this.startNode(party, entry === undefined ? {} : { entry: resolve(entry) });
    }
    if (known === undefined) {
      report('founding', 0);
      const chain = await this.#found(options.build ?? mockBuild(), signal);
      for (const { party } of this.#state.nodes) {
        report('joining', party - 1);
        await this.#join(party, chain, signal);
      }
    }
    await this.connected(undefined, signal, (done) => report('connecting', done));
    await this.#save({ ...this.#state, isComplete: true });
  }

  /** What the stand-in for S3 keeps for that node. */
  async bucketDirectory(party: number): Promise<string> {
    const chain = await readNetwork(this.directory);
    const { storage } = chain.newest.signed.configuration.members[party - 1] ?? this.#unknown(party);
    return join(this.cloud.bucketsDirectory, storage.bucket);
  }

  async stopCloud(): Promise<void> {
    await this.cloud.stop(this.#state.cloud);
  }

  /** Starts those stand-ins of cloud services that do not run. */
  async startCloud(): Promise<void> {
    const save = (cloud: CloudState): Promise<void> => this.#save({ ...this.#state, cloud });
    await save(await this.cloud.start(this.#state.cloud, join(this.directory, 'logs'), save));
  }

  /** Until its first state is in effect a node's identity is in its process alone: a founding that was interrupted begins anew. */
  async #forgetUnfinished(): Promise<void> {
    if (this.#state.isComplete === true) return;
    await Promise.all(this.#state.nodes.map(({ party }) => this.stopNode(party)));
    await this.cloud.stop(this.#state.cloud);
    await this.cloud.erase();
    for (const entry of [ANCHOR_DIRECTORY, GENESIS_FILE, CONFIGURATIONS_FILE]) {
      await rm(join(this.directory, entry), { recursive: true, force: true });
    }
    const { networkId: _, ...state } = this.#state;
    await this.#save(state);
  }

  /** Founded on what the nodes say they are, once; it is written down before any node is given it. */
  async #found(build: FoundedBuild, signal: AbortSignal): Promise<ConfigurationChain> {
    const { name, t, nodes } = this.#state;
    const members = await Promise.all(
      nodes.map(async ({ party, address }) => {
        const { identity, bootKey } = await this.#card(party, () => true, signal);
        return { identity, bootKey, address };
      }),
    );
    const provision = (networkId: Digest): Promise<readonly Storage[]> =>
      this.cloud.provision(this.#state.cloud, networkId, build.measurementOf);
    const chain = await foundNetwork(this.directory, { name, t, members, provision, build });
    await this.#save({ ...this.#state, networkId: chain.networkId });
    return chain;
  }

  /** Stops the parents whose address is another one in the configuration that is valid now; they start at the new one. */
  async #move(chain: ConfigurationChain): Promise<void> {
    const valid = chain.validAt(mockChainHead(() => Date.now()).block());
    for (const { party, address } of valid.at(-1)?.members ?? []) {
      if (this.#node(party).address === address) continue;
      await this.stopNode(party, { role: 'parent' });
      await this.#change(party, { address });
    }
  }

  /** Gives the node what it does not have: a start that was interrupted may have come this far. */
  async #join(party: number, chain: ConfigurationChain, signal: AbortSignal): Promise<void> {
    for (;;) {
      const { network } = await this.#card(party, () => true, signal);
      if (network?.configuration.digest === chain.newest.digest) return;
      try {
        await joinNode(placeOf(this.#node(party)), chain);
        return;
      } catch (error) {
        // A slow node joins after the question has been given up: it is asked again.
        if (signal.aborted || !['TIMEOUT', 'BAD_PEER'].includes(codeOf(error))) throw error;
      }
    }
  }

  /** Asks until the node answers what is waited for. */
  async #card(party: number, isGood: (card: NodeCard) => boolean, signal: AbortSignal): Promise<NodeCard> {
    for (;;) {
      const { processes } = this.#node(party);
      const card = await describeNode(placeOf(this.#node(party)), this.networkId).catch((error: unknown) => {
        // A node that is just starting, which belongs to no network for a moment; any other answer is final.
        if (['UNAVAILABLE', 'TIMEOUT', 'BAD_PEER'].includes(codeOf(error))) return undefined;
        throw error;
      });
      if (card !== undefined && isGood(card)) return card;
      for (const role of ['enclave', 'parent'] as const) {
        const id = processes[role];
        if (id !== undefined && (await isAlive(id))) continue;
        throw new KmsError(
          'UNAVAILABLE',
          `the ${role} of node ${party} ended; see ${this.#logFile(party, role)}`,
        );
      }
      if (signal.aborted) throw new KmsError('TIMEOUT', `node ${party} is not ready`);
      await sleep(POLL_MS);
    }
  }

  async #startProcess(party: number, role: Role): Promise<void> {
    const { address, socketDirectory, entry, image, parentEntry = PARENT_ENTRY } = this.#node(party);
    const { roundMs, openingMs } = this.#state;
    const status = this.#node(party).status ?? `127.0.0.1:${await freePort()}`;
    await this.#change(party, { status });
    const home = join(this.directory, 'nodes', `${party}`);
    await mkdir(home, { recursive: true, mode: 0o700 });
    const vhostSocket = join(socketDirectory, 'vm.vsock');
    // A mock network's anchor stands for the chain; an image has no such directory, and a lab's nodes are alike.
    const anchor = this.#class === 'mock' ? { anchorDirectory: join(this.directory, ANCHOR_DIRECTORY) } : {};
    const ofEnclave =
      image === undefined ? { ...anchor, socketDirectory, roundMs, openingMs } : { image, vhostSocket };
    const ofParent = {
      ...(image === undefined ? { socketDirectory } : { vhostSocket }),
      ...{ listen: address, configurationsFile: this.configurationsFile, status },
      ...{ genesisFile: this.genesisFile, party, hosts: this.cloud.hosts(this.#state.cloud) },
      credentialsFile: this.cloud.credentialsFile(party),
    };
    const config = role === 'enclave' ? ofEnclave : ofParent;
    const configFile = join(home, `${role}.json`);
    await writeFile(configFile, JSON.stringify(config), { mode: 0o600 });
    const id = await startProcess(
      role === 'enclave' ? entry : parentEntry,
      ['--config', configFile],
      this.#logFile(party, role),
      role === 'enclave' && this.#class === 'lab' ? ['kms-lab'] : [],
    );
    await this.#change(party, { processes: { ...this.#node(party).processes, [role]: id } });
  }

  #logFile(party: number, role: Role): string {
    return join(this.directory, 'logs', `${party}-${role}.log`);
  }

  #node(party: number): NodeState {
    return this.#state.nodes[party - 1] ?? this.#unknown(party);
  }

  #unknown(party: number): never {
    throw new KmsError('BAD_INPUT', `there is no party ${party} in this network`);
  }

  #change(party: number, change: Partial<NodeState>): Promise<void> {
    const nodes = this.#state.nodes.map((node) => (node.party === party ? { ...node, ...change } : node));
    return this.#save({ ...this.#state, nodes });
  }

  /** Known at once; on disk one after the other, and never older than what is known. */
  #save(state: NetworkState): Promise<void> {
    this.#state = state;
    const saved = this.#saving.then(() => writeState(this.directory, this.#state));
    this.#saving = saved.catch(() => undefined);
    return saved;
  }
}

function placeOf({ address }: NodeState): NodePlace {
  return { identity: undefined, addresses: [address] };
}
