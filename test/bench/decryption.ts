import { isDeepStrictEqual } from 'node:util';
import { systemRng } from '../../enclave/primitives.ts';
import { openEnvelope } from '../../shared/fhe/envelope.ts';
import { switchDown } from '../../shared/fhe/switch-down.ts';
import type { Value } from '../../shared/fhe/value.ts';
import { type PartyId, partyId } from '../../shared/ids.ts';
import { decryptionScope, PublicDecryption } from '../../shared/protocol/decryption/public-decryption.ts';
import { isSignedShare, signShare } from '../../shared/protocol/opening/opening.ts';
import { peerMessage } from '../../shared/protocol/peer-message.ts';
import { decode, encode } from '../../shared/wire/codec.ts';
import type { DealtKey } from './dealt-key.ts';
import { type Job, timed } from './job.ts';
import { committees, type Workbench } from './workbench.ts';

const SCALAR_BATCH = 64;
const self = partyId(1);
const targets = { '4-1': { vector: 1.6, scalar: 0.15 }, '13-4': { vector: 45, scalar: 0.8 } } as const;

/** The core of a decryption, and what one party does around it. */
export function decryptionJobs(bench: Workbench): readonly Job[] {
  const [small, large] = committees;
  return [
    ...committees.flatMap(({ n, t }) => partials(bench, n, t)),
    ...around(bench, small.n, small.t),
    ...committees.flatMap(({ n, t }) =>
      (['scalar', 'vector'] as const).map((kind) => endToEnd(bench, n, t, kind)),
    ),
    loadShare(bench, small.n, small.t),
    loadShare(bench, large.n, large.t),
  ];
}

/** A value of the kind, the same each time. */
export function sample(key: DealtKey, kind: Value['kind']): Value {
  if (kind === 'scalar') return { kind, value: 123_456n };
  return { kind, values: BigUint64Array.from({ length: key.preset.degree }, (_, i) => BigInt(i)) };
}

/** The task is parsed and switched to the decryption level already; the flood is included. */
function partials(bench: Workbench, n: number, t: number): readonly Job[] {
  const size = `${n}-${t}` as keyof typeof targets;
  const isLong = n > 4;
  const vector = {
    name: `partial-vector-${size}`,
    unit: 'ms',
    about: 'partial decryption of a vector, flood included',
    target: targets[size].vector,
  } as const;
  const scalar = {
    name: `partial-scalar-${size}`,
    unit: 'ms',
    about: `partial decryption of a scalar, in batches of ${SCALAR_BATCH}, per request`,
    target: targets[size].scalar,
  } as const;
  return [
    timed(vector, { runs: isLong ? 30 : 100, calls: isLong ? 1 : 5 }, () => {
      const key = bench.key(n, t);
      const task = key.task(key.encrypt(sample(key, 'vector')));
      const decryptor = key.decryptor(self);
      return () => decryptor.vector(task);
    }),
    timed(scalar, { requests: SCALAR_BATCH, runs: isLong ? 30 : 60, calls: isLong ? 1 : 2 }, () => {
      const key = bench.key(n, t);
      const value = sample(key, 'scalar');
      const tasks = Array.from({ length: SCALAR_BATCH }, () => key.task(key.encrypt(value)));
      const decryptor = key.decryptor(self);
      return () => decryptor.scalars(tasks);
    }),
  ];
}

/** What surrounds the partial decryption of one vector at one party; the same for every committee. */
function around(bench: Workbench, n: number, t: number): readonly Job[] {
  const prepared = (): ReturnType<typeof vectorRequest> => vectorRequest(bench.key(n, t));
  const row = (name: string, about: string) => ({ name, unit: 'ms', about }) as const;
  return [
    timed(
      row('open-envelope', 'parse a fresh ciphertext, check every residue, SHA-256'),
      { runs: 60, calls: 10 },
      () => {
        const { envelope, primitives } = prepared();
        return () => openEnvelope(envelope, primitives);
      },
    ),
    timed(
      row('switch-down', 'both components of a ciphertext, from 3 primes to 2'),
      { runs: 60, calls: 10 },
      () => {
        const { key, envelope, primitives } = prepared();
        const { c0, c1, bound } = openEnvelope(envelope, primitives);
        return () => [c0, c1].map((part) => switchDown(key.dataRing, key.preset, part, bound.level));
      },
    ),
    timed(
      row('sign-share', 'SHA-256 and Ed25519 over the share of a vector'),
      { runs: 60, calls: 10 },
      () => {
        const { membership, scope, share } = prepared();
        return () => signShare(membership, scope, share);
      },
    ),
    timed(
      row('verify-share', "check a peer's signature on the share of a vector"),
      { runs: 60, calls: 10 },
      () => {
        const { membership, scope, share } = prepared();
        const signature = signShare(membership, scope, share);
        return () => {
          if (!isSignedShare(membership, scope, self, share, signature)) throw new Error('not signed');
        };
      },
    ),
  ];
}

function vectorRequest(key: DealtKey) {
  const membership = key.membership(self);
  const envelope = key.encrypt(sample(key, 'vector'));
  const task = key.task(envelope);
  const share = key.decryptor(self).vector(task);
  const scope = decryptionScope(membership, task);
  return { key, envelope, membership, primitives: membership.primitives, scope, share };
}

/**
 * One party's public decryption but the network: from the bytes of the ciphertext to the value, with the messages of all
 * peers decoded, verified and counted.
 */
function endToEnd(bench: Workbench, n: number, t: number, kind: Value['kind']): Job {
  const about = `one party's work for a public decryption: open, partial, sign, ${n - 1} peers' shares, decode`;
  const figure = { name: `public-decryption-${kind}-${n}-${t}`, unit: 'ms', about } as const;
  const isLong = n > 4 && kind === 'vector';
  return timed(figure, isLong ? { runs: 20 } : { runs: 60, calls: kind === 'scalar' ? 4 : 1 }, () => {
    const key = bench.key(n, t);
    const value = sample(key, kind);
    const envelope = key.encrypt(value);
    const messages = peerMessages(key, envelope);
    return () => {
      if (!isDeepStrictEqual(decryptPublicly(key, envelope, messages), value)) {
        throw new Error('a wrong value was decrypted');
      }
    };
  });
}

function decryptPublicly(
  key: DealtKey,
  envelope: Uint8Array,
  messages: ReadonlyMap<PartyId, Uint8Array>,
): Value {
  const membership = key.membership(self);
  const task = key.task(envelope);
  const decryptor = key.decryptor(self);
  const decryption = new PublicDecryption(membership, task, decryptor.ring, systemRng);
  const share = decryptor.partial(task);
  const { ciphertext, kind } = task;
  const signature = decryption.contribute(share);
  encode(peerMessage, {
    kind: 'decryption-share',
    key: key.id,
    ciphertext,
    value: kind,
    share,
    signature,
  });
  for (const [from, message] of messages) {
    const received = decode(peerMessage, message);
    if (received.kind === 'decryption-share') decryption.receive(from, received.share, received.signature);
  }
  if (decryption.value === undefined) throw new Error('nothing was decrypted');
  return decryption.value;
}

function peerMessages(key: DealtKey, envelope: Uint8Array): Map<PartyId, Uint8Array> {
  const task = key.task(envelope);
  const message = (party: PartyId): Uint8Array => {
    const membership = key.membership(party);
    const share = key.decryptor(party).partial(task);
    const signature = signShare(membership, decryptionScope(membership, task), share);
    const { ciphertext, kind } = task;
    return encode(peerMessage, {
      kind: 'decryption-share',
      key: key.id,
      ciphertext,
      value: kind,
      share,
      signature,
    });
  };
  const peers = key.committee.parties.filter((party) => party !== self);
  return new Map(peers.map((party) => [party, message(party)]));
}

/** First use of a key after a start: ciphers of all seeds, and s_i in both forms. */
function loadShare(bench: Workbench, n: number, t: number): Job {
  const about = "expand a party's share of a key from its sealed seeds";
  const figure = { name: `load-share-${n}-${t}`, unit: 'ms', about } as const;
  return timed(figure, { runs: 20 }, () => {
    const key = bench.key(n, t);
    const seeds = key.seeds(self);
    return () => key.load(self, seeds)[Symbol.dispose]();
  });
}
