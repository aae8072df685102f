import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { egressLine } from '../../shared/egress.ts';
import { codeOf, KmsError } from '../../shared/errors.ts';
import type { Digest, PartyId } from '../../shared/ids.ts';
import type { Link } from '../../shared/link.ts';
import type { Primitives } from '../../shared/primitives.ts';
import type { TlsIdentity } from './credentials.ts';
import type { Roster } from './roster.ts';
import { connectTls } from './tls.ts';

export interface DialTarget {
  /** `host:port` */
  readonly address: string;
  readonly networkId: Digest;
  /** Ed25519 public key of the node that must answer. */
  readonly identity: Uint8Array;
}

/** Reaches a node through the parent; what comes back is verified. @throws {KmsError} UNAVAILABLE, TIMEOUT, BAD_PEER */
export async function dialNode(
  link: Link<Duplex>,
  own: TlsIdentity,
  crypto: Primitives,
  target: DialTarget,
): Promise<TLSSocket> {
  const stream = await link.connect('egress');
  stream.write(egressLine(target.address));
  const { socket } = await connectTls(stream, own, crypto, target);
  return socket;
}

/**
 * Reaches a member wherever it may be now: while two configurations are valid it may have moved already, or not yet.
 * @throws {KmsError} UNAVAILABLE, TIMEOUT, BAD_PEER
 */
export async function dialMember(
  link: Link<Duplex>,
  own: TlsIdentity,
  crypto: Primitives,
  roster: Roster,
  party: PartyId,
): Promise<TLSSocket> {
  const { networkId } = roster;
  const identity = roster.identityOf(party);
  let failure: unknown;
  for (const address of roster.addressesOf(party)) {
    try {
      return await dialNode(link, own, crypto, { address, networkId, identity });
    } catch (error) {
      failure ??= error;
    }
  }
  throw new KmsError(codeOf(failure), `party ${party} cannot be reached`, { cause: failure });
}
