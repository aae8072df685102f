import { committee } from '../../../shared/committee.ts';
import { digest, epochId, keyId, partyId } from '../../../shared/ids.ts';
import { type BroadcastMessage, broadcastMessage } from '../../../shared/protocol/broadcast/messages.ts';
import { type Certificate, certificateCodec } from '../../../shared/protocol/certificate.ts';
import { requestStateCodec } from '../../../shared/protocol/keygen/files.ts';
import { type KeygenMessage, keygenMessage } from '../../../shared/protocol/keygen/messages.ts';
import { certifiedKeyCodec, type KeyRecord, keyRecordCodec } from '../../../shared/protocol/keygen/record.ts';
import { type KeyRequest, keyRequestCodec } from '../../../shared/protocol/keygen/request.ts';
import { type PeerMessage, peerMessage } from '../../../shared/protocol/peer-message.ts';
import { type AgreementMessage, agreementMessage } from '../../../shared/protocol/session/messages.ts';
import { SeedArchive } from '../../../shared/protocol/setup/archive.ts';
import { ContributionStore } from '../../../shared/protocol/setup/contributions.ts';
import {
  namingCodec,
  type SetupMessage,
  setupMessage,
  type Transcript,
  transcriptCodec,
} from '../../../shared/protocol/setup/messages.ts';
import { seedRecordCodec } from '../../../shared/protocol/setup/setup.ts';
import { transcriptDigest } from '../../../shared/protocol/setup/transcript.ts';
import { type SealedShare, sealedShareCodec } from '../../../shared/protocol/user-decryption/sealed-share.ts';
import { type Codec, encode } from '../../../shared/wire/codec.ts';
import { seededRng } from '../../simulator/random.ts';
import { memberships } from '../../simulator/simulation.ts';
import { clockAsked, membershipSamples } from './membership-samples.ts';

/** A wire type or sealed record: its codec, absent where the module keeps it, and the bytes of one value. */
export interface Sample {
  readonly name: string;
  readonly codec: Codec<unknown> | undefined;
  readonly bytes: Uint8Array;
}

/** The compiler asks for a sample of every kind of message. */
type EveryKind<T extends { readonly kind: string }> = {
  readonly [K in T['kind']]: Extract<T, { kind: K }>;
};

const filled = (size: number, from: number): Uint8Array =>
  Uint8Array.from({ length: size }, (_, i) => (from + i) & 255);
const words = (...values: readonly bigint[]): BigUint64Array => BigUint64Array.from(values);
const hex = (byte: string): string => byte.repeat(32);

const session = digest(hex('51'));
const statement = digest(hex('52'));
const key = keyId(hex('53'));
const ofKey = { key, attempt: 3 };
const [one, two, three] = [partyId(1), partyId(2), partyId(3)];
const signature = filled(64, 1);
const by = { party: two, signature };
const certificate: Certificate = {
  statement,
  signatures: [one, two, three].map((party) => ({ party, signature: filled(64, party) })),
};
const request: KeyRequest = { request: digest(hex('54')), preset: 'test-4096', galois: 'sum' };
const nonce = { party: one, nonce: filled(32, 7), signature };
const transcript: Transcript = {
  session,
  participants: [one, two, three],
  commitments: [filled(96, 3), undefined, filled(3, 9)],
  namings: [filled(4, 0), filled(4, 0), undefined],
};
const record: KeyRecord = {
  version: 1,
  networkId: digest(hex('55')),
  epoch: epochId(2),
  key,
  request,
  attempt: 3,
  session,
  transcript: digest(hex('56')),
  publicKey: words(1n, 2n ** 64n - 1n),
  relinearisation: [{ b: words(3n, 4n), h1: words(5n, 6n) }],
  galois: [{ element: 8191, b: [words(7n, 8n), words(9n, 10n)] }],
};
const sealedShare: SealedShare = {
  request: filled(32, 5),
  key,
  epoch: epochId(2),
  ciphertext: digest(hex('57')),
  userKey: digest(hex('58')),
  kind: 'vector',
  level: 2,
  party: three,
  sealed: filled(1152, 11),
  signature,
};

const values = [
  { set: 0, value: filled(32, 1) },
  { set: 714, value: filled(32, 2) },
];

const broadcast: EveryKind<BroadcastMessage> = {
  relay: { kind: 'relay', sender: one, value: filled(40, 0), signatures: [{ party: one, signature }, by] },
  view: { kind: 'view', view: statement, signature },
  certificate: { kind: 'certificate', view: statement, views: [by], relays: [{ party: three, signature }] },
};
const agreement: EveryKind<AgreementMessage> = {
  'nonce-request': { kind: 'nonce-request', attempt: 258 },
  'nonce-reply': { kind: 'nonce-reply', attempt: 1, nonce },
  proposal: {
    kind: 'proposal',
    attempt: 1,
    startMs: 1_700_000_000_123n,
    nonces: [nonce, { ...nonce, party: two }],
    signature,
  },
};
const setup: EveryKind<SetupMessage> = {
  commitments: { kind: 'commitments', body: filled(10, 1) },
  namings: { kind: 'namings', body: filled(11, 2) },
  contributions: { kind: 'contributions', values },
  ask: { kind: 'ask', dealer: two, sets: [1, 65_535] },
  answer: { kind: 'answer', dealer: two, values },
  signature: { kind: 'signature', transcript: statement, signature: by },
  certificate: { kind: 'certificate', certificate },
  fetch: { kind: 'fetch', transcript: statement },
  transcript: { kind: 'transcript', transcript },
};
const keygen: EveryKind<KeygenMessage> = {
  agreement: { kind: 'agreement', body: filled(12, 3) },
  setup: { kind: 'setup', session, body: filled(13, 4) },
  share: { kind: 'share', session, name: 'relin-h0/0', share: words(1n, 2n, 3n), signature },
  'round-one': { kind: 'round-one', session, statement, by },
  'round-one-certificate': { kind: 'round-one-certificate', session, certificate },
  'key-signature': { kind: 'key-signature', ...ofKey, statement, by },
  'key-certificate': { kind: 'key-certificate', ...ofKey, certificate, holdsSeeds: true },
  query: { kind: 'query', ...ofKey },
  fetch: { kind: 'fetch', ...ofKey, offset: 4_194_304 },
  chunk: { kind: 'chunk', ...ofKey, offset: 5, total: 20, bytes: filled(15, 6) },
  archive: { kind: 'archive', ...ofKey, body: filled(16, 7) },
  introduction: { kind: 'introduction', ...ofKey, request, certificate },
};
const peer: EveryKind<PeerMessage> = {
  keygen: { kind: 'keygen', purpose: statement, body: filled(14, 5) },
  'decryption-share': {
    kind: 'decryption-share',
    key,
    ciphertext: statement,
    value: 'scalar',
    share: words(1n, 2n),
    signature,
  },
  membership: { kind: 'membership', message: clockAsked },
  'result-word': {
    kind: 'result-word',
    topic: filled(32, 6),
    own: filled(32, 7),
    signature: filled(65, 8),
    asks: true,
  },
  'result-batch': { kind: 'result-batch', leaves: [filled(32, 9), filled(32, 10)] },
};

const vectorShare: PeerMessage = {
  kind: 'decryption-share',
  key,
  ciphertext: statement,
  value: 'vector',
  share: words(),
  signature,
};

/** One encoded value of the type. */
function sample<T>(name: string, codec: Codec<T>, value: T): Sample {
  // What is decoded from a Codec<T> is only compared and encoded again by the same codec.
  return { name, codec: codec as unknown as Codec<unknown>, bytes: encode(codec, value) };
}

function samplesOf<T extends { readonly kind: string }>(
  name: string,
  codec: Codec<T>,
  all: EveryKind<T>,
): readonly Sample[] {
  return Object.values<T>(all).map((value) => sample(`${name}/${value.kind}`, codec, value));
}

const member = memberships(committee(4, 1), 'vectors').get(one)!;

/** The archive of a setup in which party 1 alone has spoken so far. */
function archiveRecord(): Uint8Array {
  const { primitives } = member;
  const store = new ContributionStore(member.committee, one);
  store.draw(seededRng('archive'));
  const commitments = [store.commit(primitives, session), undefined, undefined];
  const dealt = { ...transcript, commitments };
  const archive = new SeedArchive(member, key, transcriptDigest(primitives, dealt), store);
  archive.setTranscript(dealt);
  return archive.encode()!;
}

/** One value at least of every wire type and sealed record of shared/protocol. */
export const samples: readonly Sample[] = [
  ...samplesOf('broadcast', broadcastMessage, broadcast),
  ...samplesOf('agreement', agreementMessage, agreement),
  ...samplesOf('setup', setupMessage, setup),
  ...samplesOf('keygen', keygenMessage, keygen),
  ...samplesOf('peer', peerMessage, peer),
  ...membershipSamples,
  sample('peer/decryption-share of a vector', peerMessage, vectorShare),
  sample('certificate', certificateCodec, certificate),
  sample('transcript', transcriptCodec, transcript),
  sample('naming', namingCodec, [one, three]),
  sample('key request', keyRequestCodec, request),
  sample('request state', requestStateCodec, { request, key, attempt: 3 }),
  sample('seed record', seedRecordCodec, { key, session, transcript: statement, seeds: filled(96, 0) }),
  sample('key record', keyRecordCodec, record),
  sample('certified key', certifiedKeyCodec, { record, certificate }),
  sample('sealed share', sealedShareCodec, sealedShare),
  { name: 'seed archive', codec: undefined, bytes: archiveRecord() },
];
