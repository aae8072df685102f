import { describe, expect, test } from 'vitest';
import {
  DecryptionDesk,
  type DeskLimits,
  NotEnoughParties,
  type OpenedValue,
} from '../../enclave/decryption-desk.ts';
import { EarlyShares } from '../../enclave/early-shares.ts';
import { shareRandomness } from '../../enclave/gateway/share-randomness.ts';
import { type DecryptorFactory, honestDecryptor, KeyRing } from '../../enclave/key-ring.ts';
import { ResultSigner } from '../../enclave/membership/result-signer.ts';
import { codeOf } from '../../shared/errors.ts';
import { type Envelope, openEnvelope, sealEnvelope } from '../../shared/fhe/envelope.ts';
import { presetByName } from '../../shared/fhe/presets.ts';
import { writeCiphertext } from '../../shared/fhe/seal/ciphertext.ts';
import type { Value } from '../../shared/fhe/value.ts';
import { digest, keyId, type PartyId, partyId } from '../../shared/ids.ts';
import type { Residues } from '../../shared/math/ring.ts';
import type { Rng } from '../../shared/primitives.ts';
import { type PeerMessage, peerMessage } from '../../shared/protocol/peer-message.ts';
import { ENCAPSULATION_BYTES, generateUserKey } from '../../shared/protocol/user-decryption/hpke.ts';
import {
  sealedShareCodec,
  userKeyDigest,
  verifyAndOpenShare,
} from '../../shared/protocol/user-decryption/sealed-share.ts';
import type { UserKey } from '../../shared/protocol/user-decryption/user-key.ts';
import { toHex } from '../../shared/wire/bytes.ts';
import { decode } from '../../shared/wire/codec.ts';
import { MemoryStore } from '../simulator/memory-store.ts';
import { seededRng } from '../simulator/random.ts';
import { certifiedKey } from './certified-key.ts';

const key = await certifiedKey();
const [one, two, three, four] = key.parties as [PartyId, PartyId, PartyId, PartyId];
const quick: DeskLimits = { waitMs: 500, graceMs: 50, remembered: 256 };
const patient: DeskLimits = { waitMs: 10_000, graceMs: 5000, remembered: 256 };
/** Waits for values, hardly for whoever does not answer. */
const brief: DeskLimits = { ...patient, graceMs: 20 };
const never = new AbortController().signal;
const requestId = new Uint8Array(32).fill(9);
const scalar = (value: bigint): Value => ({ kind: 'scalar', value });
const opened = (envelope: Uint8Array): Envelope => openEnvelope(envelope, key.membership(one).primitives);

interface DeskOptions {
  readonly limits?: DeskLimits;
  readonly makeDecryptor?: (party: PartyId) => DecryptorFactory;
  readonly withKey?: boolean;
}

/** Four desks whose messages pass through the codec, one macrotask later, to those that are up. */
class Desks {
  readonly desks = new Map<PartyId, DecryptionDesk>();
  readonly up = new Set<PartyId>(key.parties);
  /** By whom, and whom. */
  readonly accused = new Map<PartyId, Set<PartyId>>();
  /** Every share sent, by sender. */
  readonly sent: { from: PartyId; to: PartyId; message: PeerMessage }[] = [];

  constructor({ limits = patient, makeDecryptor = () => honestDecryptor, withKey = true }: DeskOptions = {}) {
    for (const self of key.parties) {
      const membership = key.membership(self);
      const keys = new KeyRing(membership, key.kernel, makeDecryptor(self));
      if (withKey) keys.add(key.finished(self));
      const desk = new DecryptionDesk(
        {
          membership,
          kernel: key.kernel,
          keys,
          rng: seededRng(`desk ${self}`),
          send: (to, payload) => this.#send(self, to, payload),
          connected: () => key.parties.filter((party) => party !== self && this.up.has(party)),
          onWrongShares: (parties) => {
            const named = this.accused.get(self) ?? new Set();
            this.accused.set(self, named);
            for (const party of parties) named.add(party);
          },
        },
        limits,
      );
      this.desks.set(self, desk);
    }
  }

  async decrypt(party: PartyId, envelope: Uint8Array, signal = never): Promise<OpenedValue> {
    return this.desk(party).open(opened(envelope), signal);
  }

  desk(party: PartyId): DecryptionDesk {
    const desk = this.desks.get(party);
    if (desk === undefined) throw new RangeError(`no desk ${party}`);
    return desk;
  }

  sharesOf(party: PartyId): readonly PeerMessage[] {
    return this.sent.filter(({ from }) => from === party).map(({ message }) => message);
  }

  #send(from: PartyId, to: PartyId, payload: Uint8Array): void {
    if (!this.up.has(from) || !this.up.has(to)) return;
    const message = decode(peerMessage, payload);
    this.sent.push({ from, to, message });
    setImmediate(() => {
      if (message.kind === 'decryption-share') this.desk(to).receive(from, message);
    });
  }
}

/** The party signs shares that are wrong in coefficient 0. */
const lying: DecryptorFactory = (...parts) => {
  const inner = honestDecryptor(...parts);
  const wrong = (share: Residues): Residues => {
    share[0] = share[0] === 0n ? 1n : share[0]! - 1n;
    return share;
  };
  return {
    ring: inner.ring,
    preset: inner.preset,
    partial: (task) => wrong(inner.partial(task)),
    scalars: (tasks) => inner.scalars(tasks).map(wrong),
  };
};

async function failure(action: () => Promise<unknown>): Promise<unknown> {
  try {
    await action();
  } catch (error) {
    return error;
  }
  return undefined;
}

const code = async (action: () => Promise<unknown>): Promise<string> => codeOf(await failure(action));

describe('decryption desk', () => {
  test.each<[string, Value]>([
    ['scalar', scalar(77n)],
    ['vector', { kind: 'vector', values: BigUint64Array.from({ length: 4096 }, (_, i) => BigInt(i)) }],
  ])('desk: four nodes decrypt a %s, each to the same value, and name nobody', async (_, plain) => {
    const desks = new Desks();
    const envelope = key.encrypt(plain);
    const results = await Promise.all(key.parties.map((party) => desks.decrypt(party, envelope)));
    for (const result of results) {
      expect(result.value).toEqual(plain);
      expect(result.culprits).toEqual([]);
    }
  });

  test('desk: a node that signs wrong shares is named by the others and changes nothing', async () => {
    const desks = new Desks({ makeDecryptor: (party) => (party === four ? lying : honestDecryptor) });
    const envelope = key.encrypt(scalar(5n));
    const results = await Promise.all([one, two, three, four].map((party) => desks.decrypt(party, envelope)));
    for (const result of results) expect(result.value).toEqual(scalar(5n));
    for (const result of results.slice(0, 3)) expect(result.culprits).toEqual([four]);
    for (const party of [one, two, three]) expect([...(desks.accused.get(party) ?? [])]).toEqual([four]);
  });

  test('desk: concurrent scalars are answered in batches of at most 64, vectors one by one', async () => {
    const batches: number[] = [];
    const counting: DecryptorFactory = (...parts) => {
      const inner = honestDecryptor(...parts);
      const scalars: typeof inner.scalars = (tasks) => {
        batches.push(tasks.length);
        return inner.scalars(tasks);
      };
      return { ring: inner.ring, preset: inner.preset, partial: (task) => inner.partial(task), scalars };
    };
    const makeDecryptor = (party: PartyId) => (party === one ? counting : honestDecryptor);
    const desks = new Desks({ limits: brief, makeDecryptor });
    const envelopes = Array.from({ length: 70 }, (_, i) => key.encrypt(scalar(BigInt(i))));
    const [first] = await Promise.all(
      [one, two, three].map((party) =>
        Promise.all(envelopes.map((envelope) => desks.decrypt(party, envelope))),
      ),
    );
    expect(batches).toEqual([64, 6]);
    expect(first!.map(({ value }) => value)).toEqual(envelopes.map((_, i) => scalar(BigInt(i))));
  });

  test('desk: between two vectors other work has its turn', async () => {
    const happened: string[] = [];
    const noting: DecryptorFactory = (...parts) => {
      const inner = honestDecryptor(...parts);
      const partial: typeof inner.partial = (task) => {
        happened.push('vector');
        setImmediate(() => happened.push('other'));
        return inner.partial(task);
      };
      return { ring: inner.ring, preset: inner.preset, partial, scalars: (tasks) => inner.scalars(tasks) };
    };
    const { desks } = new Desks({ makeDecryptor: () => noting });
    const { publicKey } = await generateUserKey(seededRng('user'));
    const { primitives } = key.membership(two);
    const envelopes = [1n, 2n, 3n].map((n) =>
      openEnvelope(key.encrypt({ kind: 'vector', values: BigUint64Array.of(n) }), primitives),
    );
    await Promise.all(envelopes.map((one) => desks.get(two)!.seal(one, requestId, publicKey)));
    expect(happened.slice(0, 5)).toEqual(['vector', 'other', 'vector', 'other', 'vector']);
  });

  test('desk: shares that arrive before the request count when it comes', async () => {
    const desks = new Desks({ limits: brief });
    const envelope = key.encrypt(scalar(6n));
    await Promise.all([two, three, four].map((party) => desks.decrypt(party, envelope)));
    desks.up.clear();
    const result = await desks.decrypt(one, envelope);
    expect(result.value).toEqual(scalar(6n));
  });

  test('desk: too few parties give NOT_ENOUGH_PARTIES naming the missing, the same request succeeds later', async () => {
    const desks = new Desks({ limits: quick });
    desks.up.delete(three);
    desks.up.delete(four);
    const envelope = key.encrypt(scalar(8n));
    const [first, second] = await Promise.all(
      [one, two].map((party) => failure(() => desks.decrypt(party, envelope))),
    );
    for (const error of [first, second]) {
      expect(codeOf(error)).toBe('NOT_ENOUGH_PARTIES');
      expect(error instanceof NotEnoughParties ? error.missing : undefined).toEqual([three, four]);
    }
    desks.up.add(three);
    const results = await Promise.all([one, two, three].map((party) => desks.decrypt(party, envelope)));
    for (const result of results) expect(result.value).toEqual(scalar(8n));
  });

  test('desk: a repeated request sends exactly the same share again', async () => {
    const desks = new Desks();
    const envelope = key.encrypt(scalar(9n));
    for (let i = 0; i < 2; i++) await Promise.all(key.parties.map((party) => desks.decrypt(party, envelope)));
    const shares = desks.sharesOf(one);
    expect(shares.length).toBe(6);
    for (const share of shares) expect(share).toEqual(shares[0]);
    // Another process with the same seeds sends it too.
    const restarted = new Desks();
    await Promise.all(key.parties.map((party) => restarted.decrypt(party, envelope)));
    expect(restarted.sharesOf(one)[0]).toEqual(shares[0]);
  });

  test('desk: what a user gets from a party is the very share it sends for a public decryption', async () => {
    const desks = new Desks();
    const user = await generateUserKey(seededRng('user'));
    for (const plain of [scalar(10n), { kind: 'vector', values: BigUint64Array.of(1n, 2n) } as const]) {
      const envelope = key.encrypt(plain);
      const sealed = await desks.desk(two).seal(opened(envelope), requestId, user.publicKey);
      await Promise.all(key.parties.map((party) => desks.decrypt(party, envelope)));
      const again = await desks.desk(two).seal(opened(envelope), new Uint8Array(32), user.publicKey);
      const { primitives, networkId, epoch, identities } = key.membership(two);
      const { keyId, digest: ciphertext, kind } = openEnvelope(envelope, primitives);
      const scope = {
        request: requestId,
        networkId,
        key: keyId,
        epoch,
        ciphertext,
        userKey: userKeyDigest(primitives, user.publicKey),
        kind,
        level: 2,
      };
      const open = (encoded: Uint8Array, request: Uint8Array) =>
        verifyAndOpenShare(encoded, { ...scope, request }, identities, user.privateKey, primitives);
      const forUser = await open(sealed, requestId);
      const repeated = await open(again, new Uint8Array(32));
      const inPublic = desks
        .sharesOf(two)
        .find((message) => message.kind === 'decryption-share' && message.ciphertext === ciphertext);
      expect(inPublic?.kind === 'decryption-share' ? inPublic.share : undefined).toEqual(forUser.residues);
      expect(repeated.residues).toEqual(forUser.residues);
    }
  });

  test('desk: sealed with randomness of what is sealed, the same is the same bytes, and nothing else shares its encapsulation', async () => {
    const { primitives, networkId, epoch, identities } = key.membership(two);
    const signer = await ResultSigner.open(
      new MemoryStore(new Map([['node/result-signer', new Uint8Array(32).fill(3)]])),
    );
    const seen: string[] = [];
    const rngOf = (sealed: Uint8Array): Rng => {
      seen.push(toHex(sealed));
      return shareRandomness({ networkId, hashes: primitives, signer }, sealed);
    };
    const [user, other] = [
      await generateUserKey(seededRng('user')),
      await generateUserKey(seededRng('other')),
    ];
    const [a, b] = [10n, 11n].map((n) => openEnvelope(key.encrypt(scalar(n)), primitives)) as [
      Envelope,
      Envelope,
    ];
    const seal = (
      envelope: Envelope,
      request: Uint8Array,
      { publicKey }: UserKey,
      desk = new Desks().desk(two),
    ) => desk.seal(envelope, request, publicKey, rngOf);
    const later = new Desks().desk(two);
    await later.seal(a, requestId, user.publicKey);
    const sealed = await seal(a, requestId, user);
    expect(await seal(a, requestId, user, later)).toEqual(sealed);
    expect(new Set(seen).size).toBe(1);
    const others = [
      await seal(b, requestId, user),
      await seal(a, new Uint8Array(32), user),
      await seal(a, requestId, other),
      // Another share of the same: as after a change of the flood.
      await seal(a, requestId, user, new Desks({ makeDecryptor: () => lying }).desk(two)),
      await new Desks().desk(two).seal(a, requestId, user.publicKey),
    ];
    const encapsulations = [sealed, ...others].map((bytes) =>
      toHex(decode(sealedShareCodec, bytes).sealed.subarray(0, ENCAPSULATION_BYTES)),
    );
    expect(new Set(encapsulations).size).toBe(6);
    const { keyId, digest: ciphertext, kind } = a;
    const userKey = userKeyDigest(primitives, user.publicKey);
    const scope = { request: requestId, networkId, key: keyId, epoch, ciphertext, userKey, kind, level: 2 };
    const opened = await verifyAndOpenShare(sealed, scope, identities, user.privateKey, primitives);
    expect(opened.residues).toHaveLength(2);
  });

  test('desk: a caller that has gone is not kept waiting and the shares stay for the next one', async () => {
    const desks = new Desks();
    desks.up.delete(three);
    desks.up.delete(four);
    const envelope = key.encrypt(scalar(11n));
    const gone = AbortSignal.abort();
    expect(await code(() => desks.decrypt(one, envelope, gone))).toBe('NOT_ENOUGH_PARTIES');
    desks.up.add(three);
    const results = await Promise.all([one, two, three].map((party) => desks.decrypt(party, envelope)));
    expect(results[0]!.value).toEqual(scalar(11n));
  });
});

describe('bad requests', () => {
  const envelope = key.encrypt(scalar(12n));
  const genuine = opened(envelope);

  /** Both public and user decryption refuse it. */
  async function codes(bad: Uint8Array, options: DeskOptions = {}): Promise<readonly string[]> {
    const desks = new Desks({ limits: quick, ...options });
    const { publicKey } = await generateUserKey(seededRng('user'));
    return [
      await code(() => desks.decrypt(one, bad)),
      await code(async () => desks.desk(one).seal(opened(bad), requestId, publicKey)),
    ];
  }

  const both = (expected: string): readonly string[] => [expected, expected];

  test('desk: a key that the node does not know is UNKNOWN_KEY', async () => {
    const foreign = sealEnvelope({ ...genuine, keyId: keyId('77'.repeat(32)) }, genuine.body);
    expect(await codes(foreign)).toEqual(both('UNKNOWN_KEY'));
    expect(await codes(envelope, { withKey: false })).toEqual(both('UNKNOWN_KEY'));
  });

  test('desk: a key without a share at this node is UNKNOWN_KEY', async () => {
    const membership = key.membership(one);
    const keys = new KeyRing(membership, key.kernel, honestDecryptor);
    keys.add({ ...key.finished(one), seeds: undefined });
    const ports = {
      membership,
      kernel: key.kernel,
      keys,
      rng: seededRng('x'),
      send: () => {},
      connected: () => [],
      onWrongShares: () => {},
    };
    const desk = new DecryptionDesk(ports, quick);
    expect(await code(() => desk.open(genuine, never))).toBe('UNKNOWN_KEY');
  });

  test('desk: a ciphertext of another preset under this key id is WRONG_KEY', async () => {
    const preset = presetByName('bfv-8192');
    const words = preset.degree * preset.levels;
    const body = writeCiphertext(preset, {
      level: preset.levels,
      c0: new BigUint64Array(words),
      c1: new BigUint64Array(words),
    });
    const bound = { bound: preset.noise.input, level: preset.levels };
    const other = sealEnvelope({ keyId: genuine.keyId, preset, kind: 'scalar', bound }, body);
    expect(await codes(other)).toEqual(both('WRONG_KEY'));
  });

  test('desk: a bound above v_max is TOO_NOISY', async () => {
    const noisy = sealEnvelope({ ...genuine, bound: { ...genuine.bound, bound: 1n << 200n } }, genuine.body);
    expect(await codes(noisy)).toEqual(both('TOO_NOISY'));
  });

  test.each<[string, (envelope: Uint8Array) => Uint8Array]>([
    ['nothing', () => new Uint8Array(0)],
    ['truncated', (bytes) => bytes.slice(0, -1)],
    ['header only', (bytes) => bytes.slice(0, 60)],
    ['trailing byte', (bytes) => Uint8Array.from([...bytes, 0])],
    ['other magic', (bytes) => bytes.with(0, 0x4b)],
    ['other version', (bytes) => bytes.with(4, 2)],
    ['unreduced residue', (bytes) => bytes.with(bytes.length - 1, 0xff)],
  ])('desk: a malformed envelope (%s) is BAD_ENCODING', async (_, damage) => {
    expect(await codes(damage(envelope))).toEqual(both('BAD_ENCODING'));
  });

  test('desk: another level than the body has is WRONG_LEVEL', async () => {
    // The level byte stands before the 32-byte bound, the body's length and the body.
    const at = envelope.length - genuine.body.length - 4 - 32 - 1;
    expect(envelope[at]).toBe(3);
    expect(await codes(envelope.with(at, 2))).toEqual(both('WRONG_LEVEL'));
  });

  test('desk: an oversized envelope is TOO_LARGE', async () => {
    expect(await codes(new Uint8Array((4 << 20) + 1))).toEqual(both('TOO_LARGE'));
  });

  test('desk: a refused request leaves nothing behind and sends nothing', async () => {
    const desks = new Desks({ limits: quick });
    await code(() => desks.decrypt(one, envelope.slice(0, -1)));
    expect(desks.sent).toEqual([]);
    const results = await Promise.all(key.parties.map((party) => desks.decrypt(party, envelope)));
    expect(results[0]!.value).toEqual(scalar(12n));
  });
});

describe('early shares', () => {
  const id = (i: number) => digest(i.toString(16).padStart(64, '0'));
  const share = (words: number) =>
    ({
      kind: 'decryption-share',
      key: keyId('00'.repeat(32)),
      ciphertext: id(0),
      value: 'scalar',
      share: new BigUint64Array(words),
      signature: new Uint8Array(64),
    }) as const;

  test('early shares: of one peer at most 1024 are kept, the oldest go first', () => {
    const early = new EarlyShares();
    for (let i = 0; i < 1030; i++) early.add(two, id(i), share(2));
    expect(Array.from({ length: 1030 }, (_, i) => early.take(id(i)).length)).toEqual(
      Array.from({ length: 1030 }, (_, i) => (i < 6 ? 0 : 1)),
    );
  });

  test('early shares: of one peer at most 32 MiB are kept', () => {
    const early = new EarlyShares();
    const mebibyte = share(1 << 17);
    for (let i = 0; i < 40; i++) early.add(two, id(i), mebibyte);
    const kept = Array.from({ length: 40 }, (_, i) => early.take(id(i)).length);
    expect(kept).toEqual(Array.from({ length: 40 }, (_, i) => (i < 8 ? 0 : 1)));
  });

  test('early shares: a peer that floods costs no other peer its shares', () => {
    const early = new EarlyShares();
    early.add(three, id(1), share(2));
    for (let i = 0; i < 3000; i++) early.add(two, id(i), share(2));
    expect(early.take(id(1)).map(([from]) => from)).toEqual([three]);
  });

  test('early shares: are taken once, one per peer, the last one it sent', () => {
    const early = new EarlyShares();
    const last = share(3);
    early.add(two, id(1), share(2));
    early.add(two, id(1), last);
    early.add(partyId(1), id(1), share(2));
    expect(new Map(early.take(id(1))).get(two)).toBe(last);
    expect(early.take(id(1))).toEqual([]);
  });

  test('early shares: garbage that came early neither counts nor blocks the real share', async () => {
    const desks = new Desks();
    const envelope = key.encrypt(scalar(13n));
    const { digest: ciphertext, keyId } = openEnvelope(envelope, key.membership(one).primitives);
    for (const from of [two, three, four])
      desks.desk(one).receive(from, { ...share(2), key: keyId, ciphertext });
    const results = await Promise.all(key.parties.map((party) => desks.decrypt(party, envelope)));
    expect(results[0]!.value).toEqual(scalar(13n));
    expect(results[0]!.culprits).toEqual([]);
  });
});
