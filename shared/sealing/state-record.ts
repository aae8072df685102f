import type { Digest, PartyId } from '../ids.ts';
import type { Membership } from '../protocol/machine.ts';
import { type Field, isSigned, signStatement } from '../protocol/statement.ts';
import { fromHex } from '../wire/bytes.ts';
import { type Codec, digest32, party, signature64, struct, u32 } from '../wire/codec.ts';

/**
 * One version of a node's sealed state, in its owner's words. It takes effect when n-1-t other nodes hold it; a restart
 * takes the highest that n-1-t of them show (decision 0005, "State").
 */
export interface StateRecord {
  readonly party: PartyId;
  /** 1, 2, 3, ...: one for each change. */
  readonly version: number;
  /** Number of the boot that announces it. */
  readonly incarnation: number;
  /** SHA-256 of the sealed manifest. */
  readonly digest: Digest;
  /** By the identity of `party`. */
  readonly signature: Uint8Array;
}

export const stateRecordCodec: Codec<StateRecord> = struct({
  party,
  version: u32,
  incarnation: u32,
  digest: digest32,
  signature: signature64,
});

const DOMAIN = 'sealed-state';

export function signStateRecord(
  by: Membership,
  state: Pick<StateRecord, 'version' | 'incarnation' | 'digest'>,
): StateRecord {
  const unsigned = { party: by.self, ...state };
  return { ...unsigned, signature: signStatement(by, DOMAIN, ...fieldsOf(by, unsigned)) };
}

/** True iff its owner signed it for this network and epoch. */
export function isStateRecord(
  among: Pick<Membership, 'networkId' | 'identities' | 'primitives'>,
  record: StateRecord,
): boolean {
  return isSigned(among, record.party, record.signature, DOMAIN, ...fieldsOf(among, record));
}

/** By version, then incarnation: a version that was announced but took no effect gives way to that of a later boot. */
export function isNewer(record: StateRecord, known: StateRecord | undefined): boolean {
  if (known === undefined || record.version !== known.version) return record.version > (known?.version ?? 0);
  return record.incarnation > known.incarnation;
}

/** The same state, announced by this boot or an earlier one. */
export function isSameState(a: StateRecord, b: StateRecord): boolean {
  return a.version === b.version && a.incarnation === b.incarnation && a.digest === b.digest;
}

function fieldsOf(
  { networkId }: Pick<Membership, 'networkId'>,
  { party: owner, version, incarnation, digest }: Omit<StateRecord, 'signature'>,
): readonly Field[] {
  return [fromHex(networkId), owner, version, incarnation, fromHex(digest)];
}
