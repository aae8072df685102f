import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAddress } from '../../shared/address.ts';
import { committee } from '../../shared/committee.ts';
import { KmsError } from '../../shared/errors.ts';
import { digest, partyId } from '../../shared/ids.ts';
import type { StandInClass } from './aws/endpoint-certificate.ts';
import { type ChainsState, checkChains } from './chains/chains-state.ts';
import type { CloudState } from './cloud.ts';
import type { ProcessId } from './process.ts';

export type Role = 'enclave' | 'parent';

export interface NodeState {
  readonly party: number;
  /** `host:port` of its parent. */
  readonly address: string;
  /** Holds the sockets between its two processes. */
  readonly socketDirectory: string;
  /** Enclave entry point. */
  readonly entry: string;
  /** An enclave image's file: the entry point runs it in an emulated machine. */
  readonly image?: string;
  /** Another one than the real parent's. */
  readonly parentEntry?: string;
  /** Loopback `host:port` of the parent's health and metrics, once it has been started. */
  readonly status?: string;
  /** Loopback `host:port` of its connector, once the parent has been started with one. */
  readonly connector?: string;
  /** Its parent is to start none. */
  readonly isConnectorStopped?: boolean;
  readonly processes: { readonly [R in Role]?: ProcessId };
}

/** What state.json says about a local network. Nothing in it is secret. */
export interface NetworkState {
  readonly format: 2;
  readonly name: string;
  readonly n: number;
  readonly t: number;
  readonly roundMs: number;
  readonly openingMs: number;
  /** Removed when the network goes down. */
  readonly socketRoot: string;
  /** KMS and S3 of this network. */
  readonly cloud: CloudState;
  /** Undefined: a network without a gateway. */
  readonly chains?: ChainsState;
  /** Once the network is founded: 64 hex digits. */
  readonly networkId?: string;
  /** Of its enclaves; default: mock. */
  readonly class?: StandInClass;
  /** True once every node's first state was in effect. Before that a node that ends takes its identity with it. */
  readonly isComplete?: boolean;
  readonly nodes: readonly NodeState[];
}

export const STATE_FILE = 'state.json';

/** Undefined if there is no network. @throws {KmsError} BAD_ENCODING if the file is not one of these */
export async function readState(directory: string): Promise<NetworkState | undefined> {
  const path = join(directory, STATE_FILE);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new KmsError('UNAVAILABLE', `${path} cannot be read`, { cause: error });
  }
  try {
    const state: NetworkState = JSON.parse(text);
    check(state);
    return state;
  } catch (cause) {
    throw new KmsError('BAD_ENCODING', `${path} is not the state of a local network`, { cause });
  }
}

/** Replaces the file as a whole. */
export async function writeState(directory: string, state: NetworkState): Promise<void> {
  const path = join(directory, STATE_FILE);
  {
    await using file = await open(`${path}.tmp`, 'w', 0o600);
    await file.writeFile(`${JSON.stringify(state, undefined, 2)}\n`);
    await file.sync();
  }
  await rename(`${path}.tmp`, path);
}

/** Everything that is later used to signal, remove or connect. */
function check(state: NetworkState): void {
  if (state.format !== 2) throw new KmsError('BAD_ENCODING', 'unknown format');
  committee(state.n, state.t);
  if (state.networkId !== undefined) digest(state.networkId);
  if (typeof state.socketRoot !== 'string' || state.nodes.length !== state.n) {
    throw new KmsError('BAD_ENCODING', 'nodes and sockets do not fit');
  }
  for (const { port, process } of [state.cloud.kms, state.cloud.s3]) {
    parseAddress(`127.0.0.1:${port}`);
    checkProcess(process);
  }
  if (state.chains !== undefined) checkChains(state.chains, checkProcess);
  for (const { party, address, socketDirectory, entry, processes, ...node } of state.nodes) {
    partyId(party, state.n);
    parseAddress(address);
    for (const one of [node.status, node.connector]) if (one !== undefined) parseAddress(one);
    const entries = [socketDirectory, entry, node.parentEntry ?? '', node.image ?? ''];
    if (entries.some((path) => typeof path !== 'string')) {
      throw new KmsError('BAD_ENCODING', 'a node lacks its directories');
    }
    for (const id of [processes.enclave, processes.parent]) checkProcess(id);
  }
}

function checkProcess(id: ProcessId | undefined): void {
  if (id !== undefined && !(Number.isInteger(id.pid) && id.pid > 1 && typeof id.started === 'string')) {
    throw new KmsError('BAD_ENCODING', 'a process is not one');
  }
}
