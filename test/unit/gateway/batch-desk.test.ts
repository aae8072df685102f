import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { BatchDesk } from '../../../enclave/gateway/batch-desk.ts';
import { SignaturePool, type SignedWord } from '../../../enclave/gateway/signature-pool.ts';
import { compareLeaves, publicLeaf, resultBatch } from '../../../shared/gateway/batch.ts';
import { typedDigest } from '../../../shared/gateway/eip712.ts';
import { isSignedBy, signDigest } from '../../../shared/gateway/signature.ts';
import type { Typed } from '../../../shared/gateway/typed-data.ts';
import { epochId, type PartyId, partyId } from '../../../shared/ids.ts';
import { fromHex, toHex } from '../../../shared/wire/bytes.ts';
import {
  domain,
  EPOCH,
  KEY,
  membership,
  parties,
  resultSigner,
  secretOf,
  signerOf,
  some,
} from './desk-fixture.ts';

type Result = Typed<'PublicDecryption'>;

const never = new AbortController().signal;
/** Longer than a test may take. */
const LONG_MS = 20_000;
const two = partyId(2);
const three = partyId(3);

function result(id: number, epoch = EPOCH): Result {
  return {
    ...{ requestId: BigInt(id), destinationChainId: 31338n, verifier: some('verifier').subarray(12) },
    ...{ consumer: some('consumer').subarray(12), hostRequest: some('asked'), keyId: fromHex(KEY) },
    ...{ keyState: 2, epoch, handles: [some(`handle ${id}`)], result: Uint8Array.of(id) },
  };
}

const results = (count: number, from = 0): readonly Result[] =>
  Array.from({ length: count }, (_, i) => result(from + i));
const leavesOf = (all: readonly Result[]): readonly Uint8Array[] => all.map(publicLeaf).sort(compareLeaves);
const digestOf = (leaves: readonly Uint8Array[], epoch = EPOCH): Uint8Array =>
  typedDigest(domain, 'ResultBatch', resultBatch(epoch, leaves));

interface Played {
  readonly desk: BatchDesk;
  readonly pool: SignaturePool;
  readonly proposed: { readonly to: PartyId; readonly leaves: readonly Uint8Array[] }[];
  readonly told: { readonly to: PartyId; readonly topic: Uint8Array; readonly word: SignedWord }[];
  readonly now: { ms: number };
}

async function played(party = 1, waitMs = 0, epoch = EPOCH): Promise<Played> {
  const proposed: Played['proposed'] = [];
  const told: Played['told'] = [];
  const now = { ms: 0 };
  const self = partyId(party);
  const pool = new SignaturePool({
    ...{ self, peers: parties.filter((one) => one !== self), nowMs: () => now.ms },
    signerOf: async (one) => signerOf(one),
    send: () => {},
  });
  const desk = new BatchDesk({
    ...{ domain, pool, waitMs, nowMs: () => now.ms, signer: await resultSigner(party) },
    membership: { ...membership, self, epoch: epochId(Number(epoch)) },
    propose: (to, leaves) => proposed.push({ to, leaves }),
    tell: (to, topic, word) => told.push({ to, topic, word }),
  });
  return { desk, pool, proposed, told, now };
}

describe('a batch of this node’s parent', () => {
  test('batch desk: results that it has said are proposed to all, and signed with 2t+1 of them', async () => {
    const one = await played(1, LONG_MS);
    const peer = await played(3);
    const all = results(5);
    for (const said of all) for (const { desk } of [one, peer]) desk.said(said);
    const leaves = leavesOf(all);
    const signing = one.desk.sign({ epoch: EPOCH, leaves }, never);
    await turn();
    expect(one.proposed).toEqual([two, three, partyId(4)].map((to) => ({ to, leaves })));
    peer.desk.receive(parties[0]!, leaves);
    for (const { topic, word } of peer.told) await one.pool.receive(three, topic, word, false);
    const digest = digestOf(leaves);
    const other = { own: new Uint8Array(0), signature: signDigest(digest, secretOf(2)) };
    await one.pool.receive(two, digest, other, false);
    const words = await signing;
    expect(words.map(({ party }) => party)).toEqual([1, 2, 3]);
    for (const { party, signature } of words)
      expect(isSignedBy(signerOf(party), digest, signature)).toBe(true);
    // Who has signed is not asked again.
    one.proposed.length = 0;
    await one.desk.sign({ epoch: EPOCH, leaves }, never);
    expect(one.proposed.map(({ to }) => to)).toEqual([partyId(4)]);
  });

  test('batch desk: without the others it is refused after a while, and may be repeated', async () => {
    const one = await played();
    const all = results(2);
    for (const said of all) one.desk.said(said);
    const batch = { epoch: EPOCH, leaves: leavesOf(all) };
    for (let i = 0; i < 2; i++) {
      await expect(one.desk.sign(batch, never)).rejects.toMatchObject({ code: 'NOT_ENOUGH_PARTIES' });
    }
    expect(one.proposed).toHaveLength(6);
  });

  test('batch desk: a result that it has not said is not signed, whatever stands beside it', async () => {
    const one = await played();
    for (const said of results(3)) one.desk.said(said);
    const changed = { ...result(0), result: Uint8Array.of(9) };
    for (const unsaid of [result(3), changed]) {
      const leaves = leavesOf([...results(3), unsaid]);
      const signing = one.desk.sign({ epoch: EPOCH, leaves }, never);
      await expect(signing).rejects.toMatchObject({ code: 'NOT_PERMITTED' });
    }
    expect(one.proposed).toEqual([]);
  });

  test('batch desk: no other epoch, neither of the batch nor of a result', async () => {
    const one = await played();
    one.desk.said(result(1));
    one.desk.said(result(2, EPOCH - 1n));
    const another = one.desk.sign({ epoch: EPOCH - 1n, leaves: leavesOf([result(1)]) }, never);
    await expect(another).rejects.toMatchObject({ code: 'WRONG_EPOCH' });
    const old = one.desk.sign({ epoch: EPOCH, leaves: leavesOf([result(2, EPOCH - 1n)]) }, never);
    await expect(old).rejects.toMatchObject({ code: 'NOT_PERMITTED' });
  });

  const many = results(65);
  test.each<[string, readonly Uint8Array[]]>([
    ['none', []],
    ['too many', leavesOf(many)],
    ['another order', leavesOf(many.slice(0, 3)).toReversed()],
    ['the same one twice', [1, 1].map(() => publicLeaf(result(1)))],
    ['no hash', [some('a').with(0, 0), some('b').with(1, 1).subarray(1)]],
  ])('batch desk: %s is no batch', async (_, leaves) => {
    const one = await played();
    for (const said of many) one.desk.said(said);
    const signing = one.desk.sign({ epoch: EPOCH, leaves }, never);
    await expect(signing).rejects.toMatchObject({ code: 'BAD_INPUT' });
    expect(() => one.desk.receive(two, leaves)).toThrow(expect.objectContaining({ code: 'BAD_INPUT' }));
    expect([one.proposed, one.told]).toEqual([[], []]);
  });

  test('batch desk: what was said long ago is forgotten', async () => {
    const one = await played();
    for (const said of results(16_385)) one.desk.said(said);
    const forgotten = one.desk.sign({ epoch: EPOCH, leaves: leavesOf([result(0)]) }, never);
    await expect(forgotten).rejects.toMatchObject({ code: 'NOT_PERMITTED' });
    const known = one.desk.sign({ epoch: EPOCH, leaves: leavesOf([result(1)]) }, never);
    await expect(known).rejects.toMatchObject({ code: 'NOT_ENOUGH_PARTIES' });
  }, 60_000);
});

describe('a batch of another member', () => {
  test('batch desk: is signed for it alone, at once if all its results were said', async () => {
    const one = await played();
    const all = results(3);
    for (const said of all) one.desk.said(said);
    one.desk.receive(two, leavesOf(all));
    expect(one.told.map(({ to, topic }) => [to, toHex(topic)])).toEqual([
      [two, toHex(digestOf(leavesOf(all)))],
    ]);
    expect(isSignedBy(signerOf(1), digestOf(leavesOf(all)), one.told[0]!.word.signature)).toBe(true);
  });

  test('batch desk: waits for the last result that this node has not said, and is never signed without it', async () => {
    const one = await played();
    const all = results(4);
    for (const said of all.slice(0, 2)) one.desk.said(said);
    one.desk.receive(two, leavesOf(all));
    one.desk.said(result(2));
    one.desk.said(result(99));
    one.desk.said({ ...result(3), result: Uint8Array.of(0) });
    expect(one.told).toEqual([]);
    one.desk.said(result(3));
    expect(one.told.map(({ to }) => to)).toEqual([two]);
    one.desk.said(result(3));
    expect(one.told).toHaveLength(1);
  });

  test('batch desk: so many of one member wait; a flood pushes out its own, nobody else’s', async () => {
    const one = await played();
    const [first, other] = [leavesOf([result(1), result(2)]), leavesOf([result(1), result(3)])];
    one.desk.receive(two, first);
    one.desk.receive(three, other);
    for (let i = 0; i < 16; i++) one.desk.receive(two, leavesOf([result(1), result(100 + i)]));
    for (const said of results(3, 1)) one.desk.said(said);
    expect(one.told.map(({ to }) => to)).toEqual([three]);
  });

  test('batch desk: one that is proposed again waits as the newest', async () => {
    const one = await played();
    const first = leavesOf([result(1)]);
    one.desk.receive(two, first);
    for (let i = 0; i < 15; i++) one.desk.receive(two, leavesOf([result(100 + i)]));
    one.desk.receive(two, first);
    one.desk.receive(two, leavesOf([result(200)]));
    one.desk.said(result(1));
    expect(one.told.map(({ to }) => to)).toEqual([two]);
  });

  test('batch desk: a member that proposes without end costs so many signatures, and none of the others’', async () => {
    const one = await played();
    const all = results(70);
    for (const said of all) one.desk.said(said);
    const propose = (from: PartyId, i: number): void => one.desk.receive(from, leavesOf([all[i]!]));
    for (let i = 0; i < 64; i++) propose(two, i);
    for (let i = 64; i < 70; i++) {
      expect(() => propose(two, i)).toThrow(expect.objectContaining({ code: 'BUSY' }));
    }
    propose(three, 0);
    expect(one.told).toHaveLength(65);
    one.now.ms += 4_000;
    propose(two, 64);
    expect(one.told).toHaveLength(66);
  });
});
