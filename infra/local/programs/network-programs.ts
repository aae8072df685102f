import { setTimeout as sleep } from 'node:timers/promises';
import { parseAddress } from '../../../shared/address.ts';
import { KmsError } from '../../../shared/errors.ts';
import { accepts, isAlive } from '../process.ts';
import type { NodeState } from '../state.ts';
import { connectorParty } from './program.ts';
import type { ProgramProcesses, ProgramStatus } from './program-processes.ts';

/** The nodes of a network, as far as it takes to run connectors beside them. */
export interface ConnectorNodes {
  readonly all: () => readonly NodeState[];
  /** @throws {KmsError} BAD_INPUT */
  readonly node: (party: number) => NodeState;
  readonly change: (party: number, change: Partial<NodeState>) => Promise<void>;
  readonly replaceParent: (
    party: number,
    entry: string | undefined,
    signal: StopSignal | undefined,
  ) => Promise<void>;
}

type StopSignal = 'SIGTERM' | 'SIGKILL';

const POLL_MS = 50;
const CONNECTOR_TIMEOUT_MS = 120_000;

/** Everything around the chains of a local network, by name: connectors, which are their parents' to start, and processes of their own. */
export class NetworkPrograms {
  readonly #nodes: ConnectorNodes;
  readonly #processes: ProgramProcesses;

  constructor(nodes: ConnectorNodes, processes: ProgramProcesses) {
    [this.#nodes, this.#processes] = [nodes, processes];
  }

  /** Starts one unless it runs; done when it serves. @throws {KmsError} BAD_INPUT for an unknown name, UNAVAILABLE if it ends or its node has no parent */
  async start(name: string, signal: AbortSignal = AbortSignal.timeout(CONNECTOR_TIMEOUT_MS)): Promise<void> {
    const party = connectorParty(name);
    if (party === undefined) return this.#processes.startOne(name, signal);
    const { connector, isConnectorStopped } = this.#nodes.node(party);
    if (connector === undefined || isConnectorStopped === true) {
      await this.#instruct(party, false, signal);
    }
    if (!(await this.#hasParent(party))) {
      throw new KmsError('UNAVAILABLE', `node ${party} has no parent to start a connector: start it`);
    }
    await listening(this.#nodes.node(party).connector, signal);
  }

  /** A connector's parent goes on without it. @throws {KmsError} BAD_INPUT for an unknown name */
  async stop(name: string, by?: StopSignal): Promise<void> {
    const party = connectorParty(name);
    if (party === undefined) return this.#processes.stopOne(name, by);
    if (this.#nodes.node(party).isConnectorStopped === true) return;
    await this.#instruct(party, true, AbortSignal.timeout(CONNECTOR_TIMEOUT_MS), by);
  }

  /** Connectors by party, then the others. */
  async status(): Promise<readonly ProgramStatus[]> {
    const connectors = this.#nodes.all().map(async ({ party, connector }) => {
      const isUp = connector !== undefined && (await accepts(parseAddress(connector).port));
      return { name: `connector-${party}`, isUp, url: connector && `http://${connector}` };
    });
    return [...(await Promise.all(connectors)), ...(await this.#processes.status())];
  }

  /** A parent with other instructions takes over from the one that runs, if one does. */
  async #instruct(
    party: number,
    isConnectorStopped: boolean,
    signal: AbortSignal,
    by?: StopSignal,
  ): Promise<void> {
    await this.#nodes.change(party, { isConnectorStopped });
    if (!(await this.#hasParent(party))) return;
    const { parentEntry, address } = this.#nodes.node(party);
    await this.#nodes.replaceParent(party, parentEntry, by);
    await listening(address, signal);
  }

  async #hasParent(party: number): Promise<boolean> {
    const { parent } = this.#nodes.node(party).processes;
    return parent !== undefined && (await isAlive(parent));
  }
}

/** Waits until somebody does, at a loopback address. */
async function listening(address: string | undefined, signal: AbortSignal): Promise<void> {
  while (address !== undefined && !(await accepts(parseAddress(address).port))) {
    signal.throwIfAborted();
    await sleep(POLL_MS);
  }
}
