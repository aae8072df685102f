import { digest, epochId, keyId, partyId } from '../../../shared/ids.ts';
import { clockReadingCodec } from '../../../shared/membership/clock-reading.ts';
import { type Enrolment, enrolmentCodec } from '../../../shared/membership/enrolment.ts';
import { type Incarnation, incarnationCodec } from '../../../shared/membership/incarnation.ts';
import { type MembershipMessage, membershipMessage } from '../../../shared/membership/messages.ts';
import { NODE_SCOPE, type Scope } from '../../../shared/sealing/scope.ts';
import { type StateRecord, stateRecordCodec } from '../../../shared/sealing/state-record.ts';
import { type Codec, encode } from '../../../shared/wire/codec.ts';
import { measurement } from '../../simulator/network.ts';

const filled = (size: number, from: number): Uint8Array =>
  Uint8Array.from({ length: size }, (_, i) => (from + i) & 255);
const signature = filled(64, 1);
const nonce = filled(32, 2);
const tlsKey = digest('c1'.repeat(32));

const record: Incarnation = { party: partyId(2), number: 7, tlsKey, signature };
const reading = { nonce, timeMs: 1_800_000_000_123n, signature };
const statement: Enrolment['statement'] = {
  epoch: epochId(0),
  party: partyId(2),
  signer: filled(33, 3),
  identity: filled(32, 4),
  tlsKey,
  measurement: { ...measurement(10), pcr8: filled(48, 5) },
  document: digest('c2'.repeat(32)),
};
const contractSignature = filled(65, 9);
const enrolment: Enrolment = {
  statement,
  signatures: [{ party: partyId(1), signature }],
  contractSignatures: [{ party: partyId(1), signature: contractSignature }],
};

const state: StateRecord = {
  ...{ party: partyId(2), version: 5, incarnation: 7 },
  ...{ digest: digest('c3'.repeat(32)), signature },
};
const scope: Scope = { kind: 'key', key: keyId('c5'.repeat(32)), epoch: epochId(3) };

const messages: { readonly [K in MembershipMessage['kind']]: Extract<MembershipMessage, { kind: K }> } = {
  incarnation: { kind: 'incarnation', record },
  'incarnation-acknowledged': { kind: 'incarnation-acknowledged', signature },
  'incarnation-refused': { kind: 'incarnation-refused', highest: record },
  'clock-asked': { kind: 'clock-asked', nonce },
  'clock-read': { kind: 'clock-read', reading },
  'attestation-asked': { kind: 'attestation-asked', nonce },
  'attestation-shown': { kind: 'attestation-shown', document: filled(20, 6) },
  'enrolment-asked': { kind: 'enrolment-asked', statement, document: filled(21, 7), possession: signature },
  'enrolment-signed': { kind: 'enrolment-signed', signature, contractSignature },
  'state-announced': { kind: 'state-announced', record: state },
  'state-held': { kind: 'state-held', record: state },
  'state-refused': { kind: 'state-refused', highest: state },
  'half-dealt': { kind: 'half-dealt', scope: NODE_SCOPE, share: filled(32, 8) },
  'half-held': { kind: 'half-held', scope, digest: digest('c4'.repeat(32)) },
  'half-erasing': { kind: 'half-erasing', scope },
  'half-erased': { kind: 'half-erased', scope },
};

export const clockAsked: MembershipMessage = messages['clock-asked'];

function sample<T>(name: string, codec: Codec<T>, value: T) {
  // What is decoded from a Codec<T> is only compared and encoded again by the same codec.
  return { name, codec: codec as unknown as Codec<unknown>, bytes: encode(codec, value) };
}

/** One value at least of every wire type and record of shared/membership. */
export const membershipSamples = [
  ...Object.values<MembershipMessage>(messages).map((message) =>
    sample(`membership/${message.kind}`, membershipMessage, message),
  ),
  sample('membership/refused without a record', membershipMessage, {
    kind: 'incarnation-refused',
    highest: undefined,
  }),
  sample('membership/enrolment-signed without a gateway', membershipMessage, {
    ...{ kind: 'enrolment-signed', signature, contractSignature: undefined },
  }),
  sample('incarnation', incarnationCodec, record),
  sample('clock reading', clockReadingCodec, reading),
  sample('enrolment', enrolmentCodec, enrolment),
  sample('state record', stateRecordCodec, state),
];
