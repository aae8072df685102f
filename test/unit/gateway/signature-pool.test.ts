import { secp256k1 } from '@noble/curves/secp256k1.js';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { describe, expect, it } from 'vitest';
import { SignaturePool, type SignedWord, type Topic } from '../../../enclave/gateway/signature-pool.ts';
import { addressOf, signDigest } from '../../../shared/gateway/signature.ts';
import { type PartyId, partyId } from '../../../shared/ids.ts';
import { concat, utf8 } from '../../../shared/wire/bytes.ts';

const parties = [1, 2, 3, 4].map((party) => partyId(party));
const secretOf = (party: number): Uint8Array => keccak_256(utf8(`signer ${party}`));
const signerOf = (party: number): Uint8Array => addressOf(secp256k1.getPublicKey(secretOf(party)));
const digestOf = (name: string): Uint8Array => keccak_256(utf8(name));
const D = digestOf('a result');
const NOTHING = new Uint8Array(0);
const topic = (digest: Uint8Array): Topic => ({ id: digest, digestOf: () => digest, quorum: 3 });
/** Longer than a test may take. */
const LONG_MS = 20_000;
const never = new AbortController().signal;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

type Sent = readonly [to: number, asks: boolean];

/** A pool of party 1, and what it sent. */
function pool(known: (party: PartyId) => boolean = () => true): {
  pool: SignaturePool;
  sent: Sent[];
  words: SignedWord[];
  now: { ms: number };
} {
  const sent: Sent[] = [];
  const words: SignedWord[] = [];
  const now = { ms: 0 };
  const made = new SignaturePool({
    ...{ self: parties[0]!, peers: parties.slice(1), nowMs: () => now.ms },
    signerOf: async (party) => (known(party) ? signerOf(party) : undefined),
    send: (to, _topic, word, asks) => {
      words.push(word);
      sent.push([to, asks]);
    },
  });
  return { pool: made, sent, words, now };
}

const signed = (party: number, digest = D): SignedWord => ({
  own: NOTHING,
  signature: signDigest(digest, secretOf(party)),
});
const two = partyId(2);
const three = partyId(3);

describe('signatures of members', () => {
  it('an answer has those of 2t+1 members, in the order of the parties, whichever came before the statement', async () => {
    const { pool: one, sent } = pool();
    await one.receive(three, D, signed(3), true);
    const collecting = one.collect(topic(D), signed(1), 5_000, never);
    await turn();
    await one.receive(two, D, signed(2), false);
    const all = await collecting;
    expect(all.map(({ party }) => party)).toEqual([1, 2, 3]);
    expect(all.map(({ signature }) => signature)).toEqual([1, 2, 3].map((party) => signed(party).signature));
    // All are told; who has signed already is not asked.
    expect(sent).toEqual([
      [2, true],
      [3, false],
      [4, true],
    ]);
  });

  it('fewer are refused after the time, and the same request may be repeated', async () => {
    const { pool: one, sent } = pool();
    await expect(one.collect(topic(D), signed(1), 5, never)).rejects.toMatchObject({
      code: 'NOT_ENOUGH_PARTIES',
    });
    await one.receive(two, D, signed(2), false);
    await one.receive(three, D, signed(3), false);
    expect(await one.collect(topic(D), signed(1), 5, never)).toHaveLength(3);
    expect(sent.filter(([to]) => to === 4)).toHaveLength(2);
  });

  it('who asks is answered once it has been made here, and who does not ask is not', async () => {
    const { pool: one, sent } = pool();
    await one.receive(two, D, signed(2), true);
    expect(sent).toEqual([]);
    await one.collect(topic(D), signed(1), 1, never).catch(() => undefined);
    sent.length = 0;
    await one.receive(two, D, signed(2), true);
    await one.receive(three, D, signed(3), false);
    expect(sent).toEqual([[2, false]]);
  });

  it.each([
    ['another member’s signature', signed(3)],
    ['a signature of another statement', signed(2, digestOf('another'))],
    ['no signature', { own: NOTHING, signature: new Uint8Array(65) }],
  ])('%s does not count', async (_, signature) => {
    const { pool: one } = pool();
    const collecting = one.collect(topic(D), signed(1), 20, never);
    await one.receive(three, D, signed(3), false);
    await one.receive(two, D, signature, false);
    await expect(collecting).rejects.toMatchObject({ code: 'NOT_ENOUGH_PARTIES' });
  });

  it('nobody’s signature counts twice', async () => {
    const { pool: one } = pool();
    const collecting = one.collect(topic(D), signed(1), 20, never);
    await one.receive(two, D, signed(2), false);
    await one.receive(two, D, signed(2), false);
    await expect(collecting).rejects.toMatchObject({ code: 'NOT_ENOUGH_PARTIES' });
  });

  it('of a member whose signer is not known nothing counts, and nothing is held against it', async () => {
    let isKnown = false;
    const { pool: one } = pool((party) => party !== two || isKnown);
    await one.collect(topic(D), signed(1), 1, never).catch(() => undefined);
    for (let i = 0; i < 40; i++) await one.receive(two, D, signed(2), false);
    await one.receive(three, D, signed(3), false);
    await expect(one.collect(topic(D), signed(1), 5, never)).rejects.toMatchObject({
      code: 'NOT_ENOUGH_PARTIES',
    });
    isKnown = true;
    await one.receive(two, D, signed(2), false);
    expect(await one.collect(topic(D), signed(1), 5, never)).toHaveLength(3);
  });

  it('who brings forged signatures is not heard any more, for a while', async () => {
    const { pool: one, now } = pool();
    await one.collect(topic(D), signed(1), 1, never).catch(() => undefined);
    await one.receive(three, D, signed(3), false);
    for (let i = 0; i < 16; i++) await one.receive(two, D, signed(3), false);
    await one.receive(two, D, signed(2), false);
    await expect(one.collect(topic(D), signed(1), 5, never)).rejects.toMatchObject({
      code: 'NOT_ENOUGH_PARTIES',
    });
    now.ms += 3_600_000;
    await one.receive(two, D, signed(2), false);
    expect(await one.collect(topic(D), signed(1), 5, never)).toHaveLength(3);
  });

  it('each member may have a word of its own, which is what it signed', async () => {
    const { pool: one } = pool();
    const digestOf_ = (party: number, own: Uint8Array): Uint8Array =>
      keccak_256(concat(Uint8Array.of(party), own));
    const shares: Topic = { id: D, digestOf: digestOf_, quorum: 3 };
    const word = (party: number, own = digestOf(`share ${party}`)): SignedWord => ({
      own,
      signature: signDigest(digestOf_(party, own), secretOf(party)),
    });
    const collecting = one.collect(shares, word(1), 1_000, never);
    await turn();
    await one.receive(two, D, { ...word(2), own: digestOf('share 3') }, false);
    await one.receive(two, D, word(2), false);
    await one.receive(two, D, word(2, digestOf('another share')), false);
    await one.receive(three, D, word(3), false);
    expect(await collecting).toEqual([1, 2, 3].map((party) => ({ party, ...word(party) })));
  });

  it('what comes early is bounded: a peer’s flood pushes out its own, nobody else’s', async () => {
    const { pool: one } = pool();
    await one.receive(three, D, signed(3), false);
    await one.receive(two, D, signed(2), false);
    const any = signed(3);
    for (let i = 0; i < 4_096; i++) await one.receive(two, digestOf(`flood ${i}`), any, false);
    const collecting = one.collect(topic(D), signed(1), 5, never);
    await expect(collecting).rejects.toMatchObject({ code: 'NOT_ENOUGH_PARTIES' });
    await one.receive(two, D, signed(2), false);
    expect(await one.collect(topic(D), signed(1), 5, never)).toHaveLength(3);
  });

  it('a topic has one word of this node, the first', async () => {
    const { pool: one, words } = pool();
    const gone = AbortSignal.abort();
    const first = signed(1);
    for (const own of [first, signed(1, digestOf('another'))]) {
      await expect(one.collect(topic(D), own, LONG_MS, gone)).rejects.toThrow();
    }
    expect(words).toHaveLength(6);
    for (const word of words) expect(word).toBe(first);
  });

  it('who has gone is not waited for, whenever it went', async () => {
    const { pool: one } = pool();
    const leaving = new AbortController();
    const collecting = one.collect(topic(D), signed(1), LONG_MS, leaving.signal);
    await turn();
    leaving.abort();
    await expect(collecting).rejects.toMatchObject({ code: 'NOT_ENOUGH_PARTIES' });
    const late = one.collect(topic(D), signed(1), LONG_MS, leaving.signal);
    await expect(late).rejects.toMatchObject({ code: 'NOT_ENOUGH_PARTIES' });
  }, 5_000);

  it('an early word is kept from when it came last', async () => {
    const { pool: one } = pool();
    await one.receive(two, D, signed(2), false);
    const any = signed(3);
    for (let i = 0; i < 4_095; i++) await one.receive(two, digestOf(`flood ${i}`), any, false);
    await one.receive(two, D, signed(2), false);
    await one.receive(two, digestOf('one more'), any, false);
    await one.receive(three, D, signed(3), false);
    expect(await one.collect(topic(D), signed(1), 5, never)).toHaveLength(3);
  });
});

describe('topics of a node', () => {
  const others = async (
    of: SignaturePool,
    count: number,
    signal: AbortSignal,
  ): Promise<Promise<unknown>[]> => {
    const any = signed(1);
    const all = Array.from({ length: count }, (_, i) =>
      of.collect(topic(digestOf(`other ${i}`)), any, LONG_MS, signal).catch(() => undefined),
    );
    await turn();
    return all;
  };
  const gone = AbortSignal.abort();

  it('are bounded: the oldest that nobody waits for goes, and what was known of it', async () => {
    const { pool: one, sent } = pool();
    await one.receive(two, D, signed(2), false);
    await one.receive(three, D, signed(3), false);
    expect(await one.collect(topic(D), signed(1), 0, gone)).toHaveLength(3);
    await others(one, 4_095, gone);
    sent.length = 0;
    await one.receive(two, D, signed(2), true);
    expect(sent).toEqual([[2, false]]);
    await one.collect(topic(digestOf('one more')), signed(1), 0, gone).catch(() => undefined);
    sent.length = 0;
    // It is early again, and nothing of the first time counts.
    await one.receive(two, D, signed(2), true);
    expect(sent).toEqual([]);
    const again = one.collect(topic(D), signed(1), 0, gone);
    await expect(again).rejects.toMatchObject({ code: 'NOT_ENOUGH_PARTIES' });
  });

  it('one that somebody waits for stays', async () => {
    const { pool: one } = pool();
    const collecting = one.collect(topic(D), signed(1), LONG_MS, never);
    await turn();
    await others(one, 4_200, gone);
    await one.receive(two, D, signed(2), false);
    await one.receive(three, D, signed(3), false);
    expect(await collecting).toHaveLength(3);
  });

  it('one that has just come stays, even if all others are waited for', async () => {
    const { pool: one } = pool();
    const leaving = new AbortController();
    const waiting = await others(one, 4_096, leaving.signal);
    await one.receive(two, D, signed(2), false);
    await one.receive(three, D, signed(3), false);
    expect(await one.collect(topic(D), signed(1), 5, never)).toHaveLength(3);
    await one.receive(two, D, signed(2), true);
    expect(await one.collect(topic(D), signed(1), 5, never)).toHaveLength(3);
    leaving.abort();
    await Promise.all(waiting);
  });
});
