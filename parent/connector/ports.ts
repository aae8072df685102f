import type { ChainLog } from '../../gateway/adapter/log.ts';
import type { Sender } from '../../gateway/adapter/sender.ts';
import type { Enclave } from './enclave-client.ts';
import type { EnvelopeSource } from './envelopes.ts';
import type { Head } from './head.ts';
import type { ConnectorNetwork } from './network.ts';
import type { Silence } from './rotation.ts';
import type { Shares } from './shares.ts';
import type { UserKeys } from './user-keys.ts';

/** What a connector's work needs. */
export interface ConnectorPorts {
  readonly network: ConnectorNetwork;
  readonly enclave: Enclave;
  /** Which member the node is. */
  readonly party: number;
  readonly envelopes: readonly EnvelopeSource[];
  readonly userKeys: UserKeys;
  readonly shares: Shares;
  /** On the gateway. */
  readonly sender: Sender;
  /** Of the gateway. */
  readonly head: Head;
  readonly silence: Silence;
  /** Of this connector alone. */
  readonly stateDirectory: string;
  readonly log: ChainLog;
  readonly signal: AbortSignal;
}

/** Bells for what work waits for. */
export const BLOCK_BELL = 'block';
/** A request whose answer waits here: its turn has come. */
export const turnBell = (id: bigint): string => `turn-${id}`;
export const overBell = (id: bigint): string => `over-${id}`;
export const keyBell = (hash: string): string => `key-${hash}`;
