import { bytesToHex, type Hex } from 'viem';
import { nodePrimitives } from '../../../enclave/primitives.ts';
import { addressOf } from '../../../shared/gateway/signature.ts';
import type { Enrolment, EnrolmentStatement } from '../../../shared/membership/enrolment.ts';
import { nodeEnrolment, packedSignatures } from '../../../shared/membership/node-enrolment.ts';
import { LocalAccount } from './account.ts';
import { senderOf } from './accounts.ts';
import type { LocalGateway, ProposedNode } from './gateway.ts';
import type { FirstCommittee } from './host.ts';

/** Before epoch 0 is active. */
const NO_EPOCH = 2n ** 64n - 1n;

/** @returns undefined before epoch 0 is active */
export async function currentEpoch({ registry, operators }: LocalGateway): Promise<bigint | undefined> {
  const epoch = BigInt(String(await operators[0]!.read({ to: registry, name: 'currentEpoch' })));
  return epoch === NO_EPOCH ? undefined : epoch;
}

/**
 * The member of epoch 0 that operators propose: what its own enclave said of it and the others signed.
 * @param endpoint where its parent listens
 */
export function proposedNode(
  { chain }: LocalGateway,
  { statement }: Enrolment,
  endpoint: string,
  cloud: Pick<ProposedNode, 'cloudAccount' | 'region'>,
): ProposedNode {
  const { signer, identity, tlsRoot, measurement, party } = hexOf(statement);
  const sender = new LocalAccount(chain, senderOf(party)).address;
  return {
    ...{ sender, signer, identity, tlsRoot, measurement, epochKey: identity, endpoint },
    ...{ organisation: `organisation ${party}`, ...cloud },
  };
}

/** Posts those of epoch 0 that the registry has not; the epoch is active with the last one. */
export async function enrol(
  { registry, operators }: LocalGateway,
  enrolments: readonly Enrolment[],
): Promise<void> {
  const operator = operators[0]!;
  for (const enrolment of enrolments) {
    const { party, ...statement } = hexOf(enrolment.statement);
    const known = await operator.read({ to: registry, name: 'enrolments', args: [0n, party] });
    if (BigInt(String(known)) !== 0n) continue;
    const args = [{ party, ...statement }, bytesToHex(packedSignatures(enrolment))];
    await operator.send({ to: registry, name: 'enrol', args });
  }
}

/** @param enrolments of all parties, in order */
export function firstCommittee(t: number, enrolments: readonly Enrolment[]): FirstCommittee {
  const signers = enrolments.map(({ statement }) => bytesToHex(addressOf(statement.signer)));
  return { epoch: 0n, t, signers };
}

function hexOf(statement: EnrolmentStatement) {
  const { epoch, party, signer, identity, tlsRoot, measurement, document } = nodeEnrolment(
    nodePrimitives,
    statement,
  );
  const hex = (bytes: Uint8Array): Hex => bytesToHex(bytes);
  return {
    ...{ epoch, party, signer: hex(signer), identity: hex(identity), tlsRoot: hex(tlsRoot) },
    ...{ measurement: hex(measurement), document: hex(document) },
  };
}
