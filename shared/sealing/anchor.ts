import type { PartyId } from '../ids.ts';
import type { StateRecord } from './state-record.ts';

/**
 * Remembers how far each node's state has come, where no node and no operator can turn it back: below its anchor a node only
 * recovers. The gateway chain from capability 5 on; until then a directory of a local network.
 */
export interface Anchor {
  /** Highest version of that party; 0 if there is none. @throws {KmsError} UNAVAILABLE */
  highest(party: PartyId): Promise<number>;
  /** The record has taken effect. @throws {KmsError} UNAVAILABLE */
  advance(record: StateRecord): Promise<void>;
}
