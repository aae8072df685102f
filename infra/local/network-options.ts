import type { NodeCard } from '../../client/node-admin.ts';
import { KmsError } from '../../shared/errors.ts';
import type { StandInClass } from './aws/endpoint-certificate.ts';
import type { FoundedBuild } from './founding.ts';
import type { NetworkState } from './state.ts';

export interface UpOptions {
  /** Default: `.kms` in the working directory. Created with mode 0700. */
  readonly stateDirectory?: string;
  readonly n?: number;
  readonly t?: number;
  readonly name?: string;
  /** With a gateway chain and host chains on this machine. A network that is there keeps what it has. */
  readonly gateway?: boolean;
  /** How often connectors and relayers of a new network ask for new blocks. */
  readonly pollMs?: number;
  readonly roundMs?: number;
  readonly openingMs?: number;
  /** Enclave entry point; `entries` overrides it for single parties. */
  readonly entry?: string;
  readonly entries?: ReadonlyMap<number, string>;
  /** Enclave images, by party: their enclaves are emulated machines. The lab has been set up. */
  readonly images?: ReadonlyMap<number, string>;
  /** What a new network is founded with; default: mock enclaves. */
  readonly build?: FoundedBuild;
  /** For all nodes to come up and connect. */
  readonly startTimeoutMs?: number;
  /** Aborted: everything that was started is stopped again. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: UpProgress) => void;
}

export interface UpProgress {
  readonly phase: 'chains' | 'starting' | 'founding' | 'joining' | 'connecting' | 'enrolling' | 'serving';
  readonly done: number;
  /** 0 when unknown. */
  readonly total: number;
}

export interface NodeStatus {
  readonly party: number;
  readonly address: string;
  readonly enclave: boolean;
  readonly parent: boolean;
  /** Undefined if the node does not answer. */
  readonly card: NodeCard | undefined;
}

export const DEFAULT_STATE_DIRECTORY = '.kms';

const DEFAULTS = { n: 4, t: 1, name: 'local', roundMs: 1_000, openingMs: 60_000 };

/** What a new network is made of. */
export function termsOf({ name, n, t, roundMs, openingMs }: UpOptions): typeof DEFAULTS {
  return {
    name: name ?? DEFAULTS.name,
    n: n ?? DEFAULTS.n,
    t: t ?? DEFAULTS.t,
    roundMs: roundMs ?? DEFAULTS.roundMs,
    openingMs: openingMs ?? DEFAULTS.openingMs,
  };
}

/** Of the security modules of its nodes. */
export function classOf(build: FoundedBuild | undefined): { readonly class?: StandInClass } {
  return build?.root.class === 'lab' ? { class: 'lab' } : {};
}

/** @throws {KmsError} BAD_INPUT if a network that is there is not what is asked for */
export function checkFits({ n, t, gateway }: UpOptions, state: NetworkState, directory: string): void {
  const other = (has: string): KmsError =>
    new KmsError('BAD_INPUT', `the network in ${directory} has ${has}; erase it or use another directory`);
  if ((n ?? state.n) !== state.n || (t ?? state.t) !== state.t) throw other(`n=${state.n}, t=${state.t}`);
  if (gateway === true && state.chains === undefined) throw other('no gateway');
}
