import type { VerifiedNode } from '../shared/attestation/node-evidence.ts';
import { matches, measurementOf } from '../shared/attestation/pcr.ts';
import { codeOf, KmsError } from '../shared/errors.ts';
import { type Enrolment, enrolmentCodec, verifyEnrolment } from '../shared/membership/enrolment.ts';
import { memberOf } from '../shared/network/configuration.ts';
import type { Electorate } from '../shared/protocol/certificate.ts';
import { equalBytes } from '../shared/wire/bytes.ts';
import { decode } from '../shared/wire/codec.ts';
import type { Network } from './network.ts';
import { nitroForm } from './nitro-measurements.ts';
import { describeNode, type NodeCard } from './node-admin.ts';
import type { NodePlace } from './node-channel.ts';
import { trustIn } from './node-trust.ts';

/** What a node proved, end to end from its security module to this process. */
export interface NodeAttestation {
  readonly card: NodeCard;
  readonly node: VerifiedNode;
  /** A member of the network whose image its configurations allow now; undefined for a node that has not joined it. */
  readonly isAllowed: boolean | undefined;
  /** Of its result signer: signed by as many members as must. Undefined: there is none yet. */
  readonly enrolment: Enrolment | undefined;
}

/**
 * Looks at a node: its document is genuine, fresh, bound to its TLS key, its identity and the network, or to none. Whether its
 * image is allowed is told, not enforced.
 * @param network undefined: a node that has not joined one
 * @throws {KmsError} BAD_PEER, also for an enclave bound to the network that is none of its members; BAD_ATTESTATION,
 *   BAD_SIGNATURE for a false enrolment; UNAVAILABLE, TIMEOUT
 */
export async function attestNode(
  place: NodePlace,
  network: Pick<Network, 'chain' | 'electorate' | 'block'> | undefined,
): Promise<NodeAttestation> {
  const card = await describeNode(place, network?.chain.networkId);
  const { node } = card;
  if (network === undefined || card.network === undefined) {
    return { card, node, isAllowed: undefined, enrolment: undefined };
  }
  if (memberOf(network.chain.newest.signed.configuration, card.identity) === undefined) {
    throw new KmsError('BAD_PEER', 'the enclave is bound to this network, but it is none of its members');
  }
  const allowed = trustIn(network.chain, network.block).measurements();
  const isAllowed = allowed !== 'unchecked' && allowed.some((one) => matches(node.document.pcrs, one));
  return { card, node, isAllowed, enrolment: verifiedEnrolment(card, network.electorate) };
}

/** As `nitro-cli describe-eif` prints a measurement. */
export function nitroMeasurements({ document }: VerifiedNode): Readonly<Record<string, string>> {
  return nitroForm(measurementOf(document.pcrs));
}

export function isUnjoined({ card }: NodeAttestation): boolean {
  return card.network === undefined;
}

function verifiedEnrolment(card: NodeCard, electorate: Electorate): Enrolment | undefined {
  if (card.enrolment.length === 0) return undefined;
  try {
    const enrolment = decode(enrolmentCodec, card.enrolment);
    verifyEnrolment(electorate, enrolment);
    if (!equalBytes(enrolment.statement.identity, card.identity)) {
      throw new KmsError('BAD_SIGNATURE', 'the enrolment is of another node');
    }
    return enrolment;
  } catch (cause) {
    throw new KmsError('BAD_SIGNATURE', `the node shows an enrolment that does not hold (${codeOf(cause)})`, {
      cause,
    });
  }
}
