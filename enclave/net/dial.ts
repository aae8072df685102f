import type { Duplex } from 'node:stream';
import type { NodeTrust } from '../../shared/attestation/node-evidence.ts';
import { egressLine } from '../../shared/egress.ts';
import { codeOf, KmsError } from '../../shared/errors.ts';
import type { PartyId } from '../../shared/ids.ts';
import type { Link } from '../../shared/link.ts';
import type { Primitives } from '../../shared/primitives.ts';
import type { TlsIdentity } from './credentials.ts';
import type { DialBudget } from './dial-budget.ts';
import { connectTls, type PeerTrust, type VerifiedSocket } from './tls.ts';

export interface DialTarget {
  /** `host:port` */
  readonly address: string;
  /** Ed25519 public key of the node that must answer. */
  readonly identity: Uint8Array;
  /** If it may not have unsealed yet. */
  readonly bootKeyOf?: (identity: Uint8Array) => Uint8Array | undefined;
}

/**
 * Reaches a node through the parent, when the budget allows it; what comes back is verified.
 * @throws {KmsError} UNAVAILABLE, TIMEOUT, BAD_PEER, BAD_ATTESTATION
 */
export async function dialNode(
  link: Link<Duplex>,
  own: TlsIdentity,
  crypto: Primitives,
  trust: NodeTrust,
  target: DialTarget,
  budget: DialBudget,
): Promise<VerifiedSocket> {
  await budget.begin();
  let stream: Duplex | undefined;
  try {
    stream = await link.connect('egress');
    stream.write(egressLine(target.address));
    return await connectTls(stream, own, crypto, trust, target.identity, target.bootKeyOf);
  } catch (error) {
    if (stream === undefined || !hasSpoken(stream)) budget.unanswered();
    throw error;
  }
}

/** TLS reads a socket below its stream, and other streams as anybody does. */
function hasSpoken(stream: Duplex): boolean {
  return 'bytesRead' in stream ? stream.bytesRead !== 0 : stream.readableDidRead;
}

/**
 * Reaches a member wherever it may be now: while two configurations are valid it may have moved already, or not yet.
 * @param sealed `too`: one that has not unsealed its identity yet answers as well
 * @throws {KmsError} UNAVAILABLE, TIMEOUT, BAD_PEER, BAD_ATTESTATION
 */
export async function dialMember(
  link: Link<Duplex>,
  own: TlsIdentity,
  crypto: Primitives,
  { roster, trust }: PeerTrust,
  party: PartyId,
  budget: DialBudget,
  sealed: 'refused' | 'too' = 'refused',
): Promise<VerifiedSocket> {
  const identity = roster.identityOf(party);
  const boot =
    sealed === 'too' ? { bootKeyOf: (of: Uint8Array): Uint8Array | undefined => roster.bootKeyOf(of) } : {};
  let failure: unknown;
  for (const address of roster.addressesOf(party)) {
    try {
      return await dialNode(link, own, crypto, trust, { address, identity, ...boot }, budget);
    } catch (error) {
      failure ??= error;
    }
  }
  throw new KmsError(codeOf(failure), `party ${party} cannot be reached`, { cause: failure });
}
