import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { committee } from '../../../shared/committee.ts';
import { partyId } from '../../../shared/ids.ts';
import type { Residues } from '../../../shared/math/ring.ts';
import { noble } from '../../../shared/noble.ts';
import { UserDecryption } from '../../../shared/protocol/user-decryption/combine.ts';
import { generateUserKey } from '../../../shared/protocol/user-decryption/hpke.ts';
import {
  sealedShareCodec,
  sealShare,
  shareStatement,
  userKeyDigest,
} from '../../../shared/protocol/user-decryption/sealed-share.ts';
import { concat } from '../../../shared/wire/bytes.ts';
import { decode, encode } from '../../../shared/wire/codec.ts';
import { Dealt, preset, primes, ring, rng, signerOf, user } from './dealt.ts';

const flipped = (share: Residues): Residues => {
  share[share.length - 1]! ^= 1n;
  return share;
};
const small = committee(4, 1);
const scalar = new Dealt(small, 'scalar');
const vector = new Dealt(small, 'vector');

describe.each([
  ['scalar', scalar],
  ['vector', vector],
] as const)('user decryption of a %s', (_, dealt) => {
  it('add: the plaintext stands with the third share, the fourth joins the agreeing ones', async () => {
    const collector = dealt.collector();
    expect(await collector.add(await dealt.sealed(4))).toBeUndefined();
    expect(await collector.add(await dealt.sealed(2))).toBeUndefined();
    const result = await collector.add(await dealt.sealed(1));
    expect(result).toMatchObject({ agreeing: [1, 2, 4], wrong: [] });
    expect([...result!.plaintext]).toEqual(dealt.plaintext);
    expect(await collector.add(await dealt.sealed(3))).toMatchObject({ agreeing: [1, 2, 3, 4], wrong: [] });
  });

  it.each([
    ['a wrong value', flipped],
    ['one word too many', (share: Residues) => BigUint64Array.of(...share, 0n)],
    ['no words', () => new BigUint64Array(0)],
    ['a residue that is not reduced', (share: Residues) => share.fill(primes[0]!, 0, 1)],
  ])('add: a signed share with %s, first of all, is set aside and its party named', async (_name, edit) => {
    const collector = dealt.collector();
    await collector.add(await dealt.sealed(2, edit));
    for (const party of [1, 3, 4]) await collector.add(await dealt.sealed(party));
    expect(collector.result).toMatchObject({ agreeing: [1, 3, 4], wrong: [2] });
    expect([...collector.result!.plaintext]).toEqual(dealt.plaintext);
  });

  it('add: a wrong share after the plaintext stands is still named', async () => {
    const collector = dealt.collector();
    for (const party of [1, 2, 3]) await collector.add(await dealt.sealed(party));
    await collector.add(await dealt.sealed(4, flipped));
    expect(collector.result).toMatchObject({ agreeing: [1, 2, 3], wrong: [4] });
  });
});

describe('user decryption', () => {
  it('add: what is not signed for this request is ignored and blames nobody', async () => {
    const collector = scalar.collector();
    const share = decode(sealedShareCodec, await scalar.sealed(2));
    const replayed = await scalar.sealed(2, flipped, { ...scalar.scope, request: rng(32) });
    const forged = encode(sealedShareCodec, { ...share, signature: new Uint8Array(64) });
    for (const bytes of [new Uint8Array(0), rng(500), concat(forged, Uint8Array.of(0)), forged, replayed]) {
      expect(await collector.add(bytes)).toBeUndefined();
    }
    expect([collector.heard, collector.malformed]).toEqual([[], []]);
    for (const party of [2, 3, 4]) await collector.add(await scalar.sealed(party));
    expect(collector.result).toMatchObject({ agreeing: [2, 3, 4], wrong: [] });
  });

  it('add: a signed share that does not open names its party', async () => {
    const collector = scalar.collector();
    const id = partyId(3);
    const other = await generateUserKey(rng);
    const toOther = await sealShare(
      { ...scalar.scope, userKey: userKeyDigest(noble, other.publicKey) },
      { party: id, signer: signerOf(3) },
      scalar.shares.get(id)!,
      other.publicKey,
      noble,
      rng,
    );
    // Signed as if it were sealed for this user: what a lying party can do.
    const { sealed } = decode(sealedShareCodec, toOther);
    const signature = signerOf(3).sign(shareStatement(noble, scalar.scope, id, sealed));
    const { networkId: _, ...fields } = scalar.scope;
    await collector.add(encode(sealedShareCodec, { ...fields, party: id, sealed, signature }));
    expect(collector.malformed).toEqual([3]);
    for (const party of [1, 2, 4]) await collector.add(await scalar.sealed(party));
    expect(collector.result).toMatchObject({ agreeing: [1, 2, 4], wrong: [3] });
  });

  it('add: only the first signed share of a party counts', async () => {
    const collector = scalar.collector();
    for (let i = 0; i < 3; i++) await collector.add(await scalar.sealed(1));
    expect(collector.heard).toEqual([1]);
    expect(collector.result).toBeUndefined();
  });

  it('add: two liars of four leave it waiting, never with a wrong plaintext', async () => {
    const collector = scalar.collector();
    for (const party of [1, 2]) await collector.add(await scalar.sealed(party, flipped));
    for (const party of [3, 4]) await collector.add(await scalar.sealed(party));
    expect(collector.result).toBeUndefined();
  });

  it('add: shares that arrive all at once give the same result', async () => {
    const collector = vector.collector();
    const all = await Promise.all(small.parties.map((party) => vector.sealed(party)));
    await Promise.all(all.map((bytes) => collector.add(bytes)));
    expect(collector.result).toMatchObject({ agreeing: [1, 2, 3, 4], wrong: [] });
  });

  it('add: (13,4), any four parties lying in any order, decodes and names exactly them', async () => {
    const large = committee(13, 4);
    const dealt = new Dealt(large, 'scalar');
    const order = fc.shuffledSubarray([...large.parties], { minLength: 13, maxLength: 13 });
    await fc.assert(
      fc.asyncProperty(order, fc.integer({ min: 0, max: 4 }), async (parties, liars) => {
        const lying = parties.slice(0, liars).sort((a, b) => a - b);
        const collector = dealt.collector();
        for (const party of parties) {
          await collector.add(await dealt.sealed(party, lying.includes(party) ? flipped : undefined));
        }
        expect(collector.result?.wrong).toEqual(lying);
        expect([...collector.result!.plaintext]).toEqual(dealt.plaintext);
      }),
      { numRuns: 5 },
    );
  });

  it('constructor: refuses another level and a c0 that is not of the ring', () => {
    const input = {
      committee: small,
      identities: new Map(),
      privateKey: user.privateKey,
      primitives: noble,
      rng,
    };
    const common = { ...input, ring, preset };
    const code = (code: string): unknown => expect.objectContaining({ code });
    const level = { ...scalar.scope, level: preset.decryptionLevel + 1 };
    expect(() => new UserDecryption({ ...common, scope: level, c0: scalar.c0 })).toThrow(code('WRONG_LEVEL'));
    const c0 = scalar.c0.slice(1);
    expect(() => new UserDecryption({ ...common, scope: scalar.scope, c0 })).toThrow(code('BAD_INPUT'));
  });
});
