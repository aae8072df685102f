import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UnixLink } from '../../../enclave/link/unix.ts';
import type { StandingTiming } from '../../../enclave/membership/standing.ts';
import type { Node } from '../../../enclave/node.ts';
import { nodePrimitives, systemRng } from '../../../enclave/primitives.ts';
import { UnixLink as ParentLink } from '../../../parent/link/unix.ts';
import { Relay } from '../../../parent/relay.ts';
import { parseAddress } from '../../../shared/address.ts';
import { mockChainHead, ROOTS } from '../../../shared/attestation/roots/mock.ts';
import { partyId } from '../../../shared/ids.ts';
import { Kernel } from '../../../shared/math/kernel/kernel.ts';
import { ConfigurationChain } from '../../../shared/network/chain.ts';
import type { Configuration } from '../../../shared/network/configuration.ts';
import { encodeGenesis, type Genesis } from '../../../shared/network/genesis.ts';
import type { Measurement } from '../../../shared/network/measurement.ts';
import { encodeSignedConfiguration } from '../../../shared/network/signed-configuration.ts';
import { openDirectNode } from '../../direct/node.ts';
import type { DirectWork } from '../../direct/work.ts';
import { mockNsm } from '../../simulator/attested.ts';
import { MemoryCloud, MemoryDataKeys, MemoryObjects } from '../../simulator/memory-cloud.ts';
import { founding, mockGenesis, operators, signedBy, storedBy, successor } from '../../simulator/network.ts';
import { freePort, type Logged, recorder } from '../../unit/net/nodes.ts';

/** What the network of live nodes is. */
export interface LiveNetwork {
  readonly genesis?: Genesis;
  /** Addresses that their parents reach beside each other's. */
  readonly reachable?: readonly string[];
  readonly headPollMs?: number;
  /** What configuration 0 says beyond its members. */
  readonly founding?: Partial<Configuration>;
}

export interface LiveOptions {
  readonly timing?: StandingTiming;
  readonly measurement?: Measurement;
  /** Of this node's security module and so of its clock, against the others'. */
  readonly clockOffsetMs?: () => number;
  readonly address?: string;
}

/** One process of a node: an enclave and a parent, in this process. */
export interface LiveNode {
  readonly party: number;
  readonly cloud: MemoryCloud;
  readonly address: string;
  readonly log: Logged[];
  readonly node: Node;
  readonly direct: DirectWork;
  readonly relay: Relay;
  /** The parent's side of it. */
  readonly link: ParentLink;
  /** What this process drew when it was born: the seeds of identity and boot key. */
  readonly born: readonly Uint8Array[];
  superseded: boolean;
  closed: boolean;
}

export const QUICK: StandingTiming = { tickMs: 50, clockMs: 200 };

const signers = operators(4);

/** Whole nodes in one process: everything but the process boundary is as in production. */
export class LiveNodes {
  readonly all: LiveNode[] = [];
  readonly #directory: string;
  readonly #kernel: Kernel;
  readonly #network: LiveNetwork;
  readonly #genesis: Genesis;
  #chain: ConfigurationChain | undefined;

  private constructor(directory: string, kernel: Kernel, network: LiveNetwork) {
    this.#directory = directory;
    this.#kernel = kernel;
    this.#network = network;
    this.#genesis = network.genesis ?? mockGenesis(signers);
  }

  /** Nodes 1 to 4, joined. @param options by party */
  static async start(
    options: ReadonlyMap<number, LiveOptions> = new Map(),
    network: LiveNetwork = {},
  ): Promise<LiveNodes> {
    const live = new LiveNodes(await mkdtemp(join(tmpdir(), 'kms-live-')), await Kernel.load(), network);
    const genesis = live.#genesis;
    for (let party = 1; party <= 4; party++) {
      const keys = new MemoryDataKeys(storedBy(party).storage.kmsKey);
      const cloud = new MemoryCloud(new MemoryObjects(), keys);
      live.all.push(await live.open(party, cloud, options.get(party)));
    }
    const members = await Promise.all(
      live.all.map(async ({ node, address }) => {
        const { identity, bootKey } = await node.describe();
        return { identity, bootKey, address };
      }),
    );
    live.#chain = ConfigurationChain.of(nodePrimitives, genesis, [
      signedBy(signers, founding(genesis, members, network.founding)),
    ]);
    for (const each of live.all) await live.join(each);
    return live;
  }

  /** Signed by the operators and known to nobody but the test: nodes are given it by join(). */
  grow(change: Partial<Configuration>): void {
    this.#chain = this.chain.extend(signedBy(signers, successor(this.chain, change)));
  }

  get chain(): ConfigurationChain {
    if (this.#chain === undefined) throw new Error('there is no network yet');
    return this.#chain;
  }

  /** Another process of that party, with its own parent, address and security module. */
  async open(party: number, cloud: MemoryCloud, options: LiveOptions = {}): Promise<LiveNode> {
    const directory = await mkdtemp(join(this.#directory, `${party}-`));
    const address = options.address ?? `127.0.0.1:${await freePort()}`;
    const log: Logged[] = [];
    const born: Uint8Array[] = [];
    const clock = (): number => Date.now() + (options.clockOffsetMs?.() ?? 0);
    let live: LiveNode | undefined;
    const { node, direct } = await openDirectNode({
      build: { class: 'mock', attestationRoot: this.#genesis.attestationRoot },
      roots: ROOTS,
      head: mockChainHead(clock),
      nsm: mockNsm({
        nowMs: clock,
        ...(options.measurement === undefined ? {} : { measurement: options.measurement }),
      }),
      openCloud: async () => cloud,
      openSuccessor: () => Promise.reject(new Error('not part of this test')),
      link: new UnixLink(directory),
      primitives: nodePrimitives,
      rng: (sizeBytes) => {
        const drawn = systemRng(sizeBytes);
        if (born.length < 2) born.push(drawn.slice());
        return drawn;
      },
      kernel: this.#kernel,
      nowMs: clock,
      log: recorder(log),
      roundMs: 200,
      openingMs: 5_000,
      timing: options.timing ?? QUICK,
      ...(this.#network.headPollMs === undefined ? {} : { headPollMs: this.#network.headPollMs }),
      onSuperseded: () => {
        if (live !== undefined) live.superseded = true;
      },
    });
    const link = new ParentLink(directory);
    const relay = await Relay.open({
      link,
      listen: parseAddress(address),
      allowed: async () =>
        new Set([...this.all.map((one) => one.address), ...(this.#network.reachable ?? [])]),
      log: recorder(log),
    });
    live = { party, cloud, address, log, node, direct, relay, link, born, superseded: false, closed: false };
    return live;
  }

  /** A later life of that node on a bucket: where the earlier one was, unless that one lives. */
  async again(
    of: LiveNode,
    cloud: MemoryCloud = of.cloud,
    options: Omit<LiveOptions, 'address'> = {},
  ): Promise<LiveNode> {
    const address = of.closed ? { address: of.address } : {};
    const live = await this.open(of.party, cloud, { ...options, ...address });
    await this.join(live);
    return live;
  }

  async join({ node, party }: LiveNode): Promise<void> {
    await node.join({
      genesis: encodeGenesis(this.#genesis),
      configurations: this.chain.links.map(({ signed }) => encodeSignedConfiguration(signed)),
      party: partyId(party),
    });
  }

  async close(of: LiveNode): Promise<void> {
    if (of.closed) return;
    of.closed = true;
    await of.node.close();
    await of.relay.close();
  }

  async closeAll(others: readonly LiveNode[] = []): Promise<void> {
    for (const each of [...this.all, ...others]) await this.close(each);
    await rm(this.#directory, { recursive: true, force: true });
  }
}

export async function phaseOf({ node }: LiveNode): Promise<string> {
  return (await node.describe()).phase;
}

export async function peersOf({ node }: LiveNode): Promise<readonly number[]> {
  return (await node.describe()).connectedPeers;
}

/** Waits for a condition; the test's own limit bounds it. */
export async function eventually(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await pause(20);
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export async function allIn(phase: string, nodes: readonly LiveNode[]): Promise<void> {
  await eventually(async () => (await Promise.all(nodes.map(phaseOf))).every((one) => one === phase));
}
