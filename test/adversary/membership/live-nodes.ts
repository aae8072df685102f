import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UnixLink } from '../../../enclave/link/unix.ts';
import type { StandingTiming } from '../../../enclave/membership/standing.ts';
import { Node } from '../../../enclave/node.ts';
import { nodePrimitives, systemRng } from '../../../enclave/primitives.ts';
import { UnixLink as ParentLink } from '../../../parent/link/unix.ts';
import { Relay } from '../../../parent/relay.ts';
import { parseAddress } from '../../../shared/address.ts';
import { mockChainHead, ROOTS } from '../../../shared/attestation/roots/mock.ts';
import { partyId } from '../../../shared/ids.ts';
import { Kernel } from '../../../shared/math/kernel/kernel.ts';
import { ConfigurationChain } from '../../../shared/network/chain.ts';
import { encodeGenesis } from '../../../shared/network/genesis.ts';
import type { Measurement } from '../../../shared/network/measurement.ts';
import { encodeSignedConfiguration } from '../../../shared/network/signed-configuration.ts';
import type { Anchor } from '../../../shared/sealing/anchor.ts';
import { mockNsm } from '../../simulator/attested.ts';
import { MemoryCloud } from '../../simulator/memory-cloud.ts';
import { founding, mockGenesis, operators, signedBy } from '../../simulator/network.ts';
import { freePort, type Logged, recorder } from '../../unit/net/nodes.ts';

export interface LiveOptions {
  readonly timing?: StandingTiming;
  readonly measurement?: Measurement;
  readonly anchor?: Anchor;
  /** Of this node's security module and so of its clock, against the others'. */
  readonly clockOffsetMs?: () => number;
}

/** One process of a node: an enclave and a parent, in this process. */
export interface LiveNode {
  readonly party: number;
  readonly cloud: MemoryCloud;
  readonly address: string;
  readonly log: Logged[];
  readonly node: Node;
  readonly relay: Relay;
  superseded: boolean;
}

export const QUICK: StandingTiming = { tickMs: 50, clockMs: 200 };

const signers = operators(4);
const genesis = mockGenesis(signers);

/** Whole nodes in one process: everything but the process boundary is as in production. */
export class LiveNodes {
  readonly all: LiveNode[] = [];
  readonly #directory: string;
  readonly #kernel: Kernel;
  #chain: ConfigurationChain | undefined;

  private constructor(directory: string, kernel: Kernel) {
    this.#directory = directory;
    this.#kernel = kernel;
  }

  /** Nodes 1 to 4, joined. @param options by party */
  static async start(options: ReadonlyMap<number, LiveOptions> = new Map()): Promise<LiveNodes> {
    const live = new LiveNodes(await mkdtemp(join(tmpdir(), 'kms-live-')), await Kernel.load());
    for (let party = 1; party <= 4; party++) {
      live.all.push(await live.open(party, new MemoryCloud(), options.get(party)));
    }
    const members = await Promise.all(
      live.all.map(async ({ node, address }) => {
        const { identity, bootKey } = await node.describe();
        return { identity, bootKey, address };
      }),
    );
    live.#chain = ConfigurationChain.of(nodePrimitives, genesis, [
      signedBy(signers, founding(genesis, members)),
    ]);
    for (const each of live.all) await live.join(each);
    return live;
  }

  get chain(): ConfigurationChain {
    if (this.#chain === undefined) throw new Error('there is no network yet');
    return this.#chain;
  }

  /** Another process of that party, with its own parent, address and security module. */
  async open(party: number, cloud: MemoryCloud, options: LiveOptions = {}): Promise<LiveNode> {
    const directory = await mkdtemp(join(this.#directory, `${party}-`));
    const address = `127.0.0.1:${await freePort()}`;
    const log: Logged[] = [];
    const clock = (): number => Date.now() + (options.clockOffsetMs?.() ?? 0);
    let live: LiveNode | undefined;
    const node = await Node.open({
      build: { class: 'mock', attestationRoot: genesis.attestationRoot },
      roots: ROOTS,
      head: mockChainHead(clock),
      nsm: mockNsm({
        nowMs: clock,
        ...(options.measurement === undefined ? {} : { measurement: options.measurement }),
      }),
      openCloud: async () => cloud,
      anchor: options.anchor,
      link: new UnixLink(directory),
      primitives: nodePrimitives,
      rng: systemRng,
      kernel: this.#kernel,
      nowMs: clock,
      log: recorder(log),
      roundMs: 200,
      openingMs: 5_000,
      timing: options.timing ?? QUICK,
      onSuperseded: () => {
        if (live !== undefined) live.superseded = true;
      },
    });
    const relay = await Relay.open({
      link: new ParentLink(directory),
      listen: parseAddress(address),
      allowed: async () => new Set(this.all.map((one) => one.address)),
      log: recorder(log),
    });
    live = { party, cloud, address, log, node, relay, superseded: false };
    return live;
  }

  async join({ node, party }: LiveNode): Promise<void> {
    await node.join({
      genesis: encodeGenesis(genesis),
      configurations: this.chain.links.map(({ signed }) => encodeSignedConfiguration(signed)),
      party: partyId(party),
    });
  }

  async close(of: LiveNode): Promise<void> {
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
