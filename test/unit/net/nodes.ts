import { mkdtemp, rm } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NodeApi } from '../../../enclave/api.ts';
import { UnixLink } from '../../../enclave/link/unix.ts';
import type { FurtherRoutes } from '../../../enclave/net/api-server.ts';
import { NodeNetwork } from '../../../enclave/net/node-network.ts';
import type { PeerNetwork } from '../../../enclave/net/peers.ts';
import { Roster } from '../../../enclave/net/roster.ts';
import { ed25519Signer, nodePrimitives, systemRng } from '../../../enclave/primitives.ts';
import { freePort } from '../../../infra/local/process.ts';
import { UnixLink as ParentLink } from '../../../parent/link/unix.ts';
import { Relay, type RelayLimits } from '../../../parent/relay.ts';
import { parseAddress } from '../../../shared/address.ts';
import { ROOTS } from '../../../shared/attestation/roots/mock.ts';
import { KmsError } from '../../../shared/errors.ts';
import { type Digest, type PartyId, partyId } from '../../../shared/ids.ts';
import type { Log, LogFields } from '../../../shared/log.ts';
import type { ConfigurationChain } from '../../../shared/network/chain.ts';
import type { Configuration } from '../../../shared/network/configuration.ts';
import type { Genesis } from '../../../shared/network/genesis.ts';
import type { Signer } from '../../../shared/primitives.ts';
import { mockNsm } from '../../simulator/attested.ts';
import { foundedChain } from '../../simulator/network.ts';

export { freePort };

export interface Logged extends LogFields {
  readonly event: string;
}

/** One node in this process: enclave networking and a parent relay over real sockets. */
export interface TestNode {
  readonly party: PartyId;
  readonly signer: Signer;
  address: string;
  readonly directory: string;
  readonly received: { readonly from: PartyId; readonly payload: Uint8Array }[];
  readonly log: Logged[];
  relay: Relay;
  network: NodeNetwork;
  peers: PeerNetwork | undefined;
}

export interface TestNodesOptions {
  readonly api?: Partial<NodeApi>;
  readonly furtherRoutes?: FurtherRoutes;
  readonly onMessage?: (to: PartyId, from: PartyId, payload: Uint8Array) => void | Promise<void>;
  readonly relayLimits?: RelayLimits;
}

const unserved = (): never => {
  throw new KmsError('UNAVAILABLE', 'not part of this test');
};

/** Nodes 1..count with relays, not joined. */
export class TestNodes {
  readonly nodes: TestNode[] = [];
  readonly #options: TestNodesOptions;
  readonly #directory: string;

  private constructor(directory: string, options: TestNodesOptions) {
    this.#directory = directory;
    this.#options = options;
  }

  static async create(count: number, options: TestNodesOptions = {}): Promise<TestNodes> {
    const all = new TestNodes(await mkdtemp(join(tmpdir(), 'kms-net-')), options);
    for (let i = 1; i <= count; i++) {
      const signer = ed25519Signer(systemRng(32));
      const address = `127.0.0.1:${await freePort()}`;
      const directory = await mkdtemp(join(all.#directory, `${i}-`));
      const log: Logged[] = [];
      const network = await all.openEnclave(directory, signer, log);
      const relay = await all.openRelay(directory, address, log);
      const party = partyId(i);
      all.nodes.push({
        party,
        signer,
        address,
        directory,
        log,
        network,
        relay,
        received: [],
        peers: undefined,
      });
    }
    return all;
  }

  openEnclave(directory: string, identity: Signer, log: Logged[]): Promise<NodeNetwork> {
    return NodeNetwork.open({
      networkId: undefined,
      link: new UnixLink(directory),
      identity,
      nsm: mockNsm(),
      roots: ROOTS,
      nowMs: Date.now,
      crypto: nodePrimitives,
      rng: systemRng,
      api: {
        describe: unserved,
        join: unserved,
        listKeys: unserved,
        getKey: unserved,
        answer: unserved,
        signBatch: unserved,
        signAnchor: unserved,
        carryOut: unserved,
        ...this.#options.api,
      },
      furtherRoutes: this.#options.furtherRoutes,
      log: recorder(log),
    });
  }

  openRelay(directory: string, address: string, log: Logged[]): Promise<Relay> {
    return Relay.open({
      link: new ParentLink(directory),
      listen: parseAddress(address),
      allowed: async () => new Set(this.nodes.map((node) => node.address)),
      log: recorder(log),
      ...(this.#options.relayLimits === undefined ? {} : { limits: this.#options.relayLimits }),
    });
  }

  chain(change: Partial<Genesis> = {}): ConfigurationChain {
    const members = this.nodes.map(({ signer, address }) => ({ identity: signer.publicKey, address }));
    return foundedChain(members, change);
  }

  get networkId(): Digest {
    return this.chain().networkId;
  }

  /** @param valid the configurations valid at the moment; default: configuration 0 of chain() */
  async join(
    node: TestNode,
    chain: ConfigurationChain = this.chain(),
    valid: () => readonly Configuration[] = () => chain.validAt(0),
  ): Promise<void> {
    const roster = new Roster(chain.networkId, node.signer.publicKey, valid);
    const trust = node.network.trustIn(chain.networkId, () => chain.allowedMeasurements(0));
    node.peers = await node.network.join(roster, trust, {
      onLine: (line) => line.admit(),
      onMessage: (from, payload) => {
        node.received.push({ from, payload });
        return this.#options.onMessage?.(node.party, from, payload);
      },
    });
  }

  async joinAll(): Promise<void> {
    for (const node of this.nodes) await this.join(node);
    await until(() => this.nodes.every((node) => node.peers?.connected().length === this.nodes.length - 1));
  }

  /** Ends the enclave's process life and begins another with the same identity. */
  async restartEnclave(node: TestNode): Promise<void> {
    await node.network.close();
    node.network = await this.openEnclave(node.directory, node.signer, node.log);
    await this.join(node);
  }

  async restartRelay(node: TestNode): Promise<void> {
    await node.relay.close();
    node.relay = await this.openRelay(node.directory, node.address, node.log);
  }

  async close(): Promise<void> {
    for (const node of this.nodes) {
      await node.network.close();
      await node.relay.close();
    }
    await rm(this.#directory, { recursive: true, force: true });
  }
}

export function recorder(into: Logged[]): Log {
  return (_level, event, fields) => into.push({ event, ...fields });
}

/** Waits for a condition; the test's own limit bounds it. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

export async function tcp(address: string): Promise<Socket> {
  const socket = createConnection({ ...parseAddress(address), allowHalfOpen: false });
  socket.on('error', () => {});
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  return socket;
}

export function numbered(index: number, sizeBytes = 16): Uint8Array {
  const payload = new Uint8Array(sizeBytes).fill(index & 255);
  new DataView(payload.buffer).setUint32(0, index);
  return payload;
}

export function numberOf(payload: Uint8Array): number {
  return new DataView(payload.buffer, payload.byteOffset).getUint32(0);
}
