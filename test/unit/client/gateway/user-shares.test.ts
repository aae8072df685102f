import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { UserQuestion } from '../../../../client/gateway/signed-shares.ts';
import { UserShares } from '../../../../client/gateway/user-shares.ts';
import { hexOf } from '../../../../gateway/adapter/chain-data.ts';
import { encodeUserShare } from '../../../../shared/gateway/user-share.ts';
import { noble } from '../../../../shared/noble.ts';
import { concat } from '../../../../shared/wire/bytes.ts';
import { Dealt } from '../../hpke/dealt.ts';
import { four, PlayedGateway, signed } from './played-gateway.ts';

/** A user's shares: named in calldata, signed twice, fetched from parents who may give anything. */

const dealt = new Dealt(four, 'scalar');
const bytes = (byte: number, size: number): Uint8Array => new Uint8Array(size).fill(byte);
const ID = 5n;
const question: UserQuestion = {
  ...{ requestId: ID, destinationChainId: 7n, user: bytes(1, 20), publicKeyHash: bytes(2, 32) },
  ...{ keyId: bytes(3, 32), epoch: 0n, handles: [bytes(4, 32)] },
};
const request = {
  ...{ id: ID, kind: 2, hostChainId: 7n, verifier: hexOf(bytes(9, 20)), consumer: hexOf(bytes(1, 20)) },
  ...{ reference_: hexOf(bytes(8, 32)), publicKeyHash: hexOf(bytes(2, 32)), keyId: hexOf(bytes(3, 32)) },
  ...{ keyState: 2, signedBy: 1, payer: hexOf(bytes(1, 20)), fee: 0n, requestedAt: 1n, expiresAt: 9n },
  handles: [hexOf(bytes(4, 32))],
};

let played: PlayedGateway;
beforeEach(async () => {
  played = await PlayedGateway.start();
});
afterEach(() => played[Symbol.asyncDispose]());

const statement = (party: number, share: Uint8Array, of: UserQuestion = question) => ({
  ...{ ...of, party, keyState: 2, shareDigest: noble.sha256(share) },
});

/** An answer on chain by these parties, each with its share; parents serve what they have. */
function answer(shares: ReadonlyMap<number, Uint8Array>, of: UserQuestion = question): void {
  const parties = [...shares.keys()].reduce((set, party) => set | (1n << BigInt(party - 1)), 0n);
  const digests = [...shares.values()].map((share) => hexOf(noble.sha256(share)));
  const signatures = [...shares].map(([party, share]) =>
    signed(party, 'UserDecryptionShare', statement(party, share, of)),
  );
  played.post('answerUser', [request, 0n, parties, digests, hexOf(concat(...signatures))]);
  for (const [party, share] of shares) played.serve(ID, party, share);
}

function add(party: number, share: Uint8Array, by = party, isServed = true): void {
  const signature = hexOf(signed(by, 'UserDecryptionShare', statement(party, share)));
  played.post('addUserShare', [request, 0n, party, hexOf(noble.sha256(share)), signature]);
  if (isServed) played.serve(ID, party, share);
}

const honest = async (party: number): Promise<Uint8Array> => encodeUserShare([await dealt.sealed(party)]);
const lying = async (party: number): Promise<Uint8Array> =>
  encodeUserShare([await dealt.sealed(party, (share) => share.with(0, share[0]! ^ 1n))]);
const shares = (timeoutMs = 400): UserShares =>
  new UserShares(played.context(timeoutMs), question, 1n, dealt.collector());
const of = async (...parties: number[]): Promise<Map<number, Uint8Array>> =>
  new Map(await Promise.all(parties.map(async (party) => [party, await honest(party)] as const)));

describe('user shares', () => {
  test('all: the value, and nobody is missing', async () => {
    answer(await of(1, 2, 3));
    add(4, await honest(4));
    const { plaintext, ...parties } = await shares(60_000).result();
    expect([...plaintext]).toEqual(dealt.plaintext);
    expect(parties).toEqual({ agreeing: [1, 2, 3, 4], missing: [], culprits: [] });
  });

  test('three: the value stands, and who gave nothing is missing', async () => {
    answer(await of(1, 2, 4));
    const { plaintext, ...parties } = await shares().result();
    expect([...plaintext]).toEqual(dealt.plaintext);
    expect(parties).toEqual({ agreeing: [1, 2, 4], missing: [3], culprits: [] });
  });

  test('a wrong share that its node signed: corrected, and the node is named', async () => {
    answer(new Map([...(await of(1, 2)), [3, await lying(3)]]));
    add(4, await honest(4));
    const { plaintext, ...parties } = await shares(60_000).result();
    expect([...plaintext]).toEqual(dealt.plaintext);
    expect(parties).toEqual({ agreeing: [1, 2, 4], missing: [], culprits: [3] });
  });

  test.each<[string, () => Promise<Uint8Array>]>([
    ['no share at all', async () => bytes(0xff, 40)],
    ['two shares', async () => encodeUserShare([await dealt.sealed(3), await dealt.sealed(3)])],
    ["another node's share", () => honest(1)],
    [
      'a share of another request',
      async () =>
        encodeUserShare([await dealt.sealed(3, undefined, { ...dealt.scope, request: bytes(7, 32) })]),
    ],
  ])('a signed digest of %s: its node is named', async (_, make) => {
    answer(new Map([...(await of(1, 2)), [3, await make()]]));
    add(4, await honest(4));
    const { plaintext, ...parties } = await shares(60_000).result();
    expect([...plaintext]).toEqual(dealt.plaintext);
    expect(parties).toMatchObject({ agreeing: [1, 2, 4], culprits: [3] });
  });

  test('a parent that gives other bytes than were signed: its node is missing, not accused', async () => {
    answer(await of(1, 2, 3));
    const wrong = await lying(4);
    const signedOne = await honest(4);
    add(4, signedOne, 4, false);
    played.serve(ID, 4, wrong, Buffer.from(noble.sha256(signedOne)).toString('hex'));
    expect(await shares().result()).toMatchObject({ agreeing: [1, 2, 3], missing: [4], culprits: [] });
  });

  test("a share that another member's signer signed: is nobody's", async () => {
    answer(await of(1, 2, 3));
    add(4, await lying(4), 1);
    expect(await shares().result()).toMatchObject({ agreeing: [1, 2, 3], missing: [4], culprits: [] });
  });

  test.each<[string, Partial<UserQuestion>]>([
    ['another handle', { handles: [bytes(5, 32)] }],
    ['another user', { user: bytes(6, 20) }],
    ['another key of the user', { publicKeyHash: bytes(6, 32) }],
    ['another chain', { destinationChainId: 8n }],
    ['another key', { keyId: bytes(6, 32) }],
    ['another request', { requestId: 6n }],
    ['another epoch', { epoch: 1n }],
  ])('shares that nodes signed for %s: none of them counts', async (_, change) => {
    answer(await of(1, 2, 3), { ...question, ...change });
    await expect(shares(100).result()).rejects.toMatchObject({
      ...{ code: 'NOT_ENOUGH_PARTIES', missing: [1, 2, 3, 4], culprits: [] },
    });
  });

  test('two shares: too few, in time, and who is missing', async () => {
    answer(await of(1, 2, 3));
    played.shares.clear();
    played.serve(ID, 1, await honest(1));
    await expect(shares(100).result()).rejects.toMatchObject({ code: 'NOT_ENOUGH_PARTIES' });
  });

  test('more liars than the committee tolerates: no value, at once', async () => {
    answer(
      new Map([
        [1, await honest(1)],
        [2, await honest(2)],
        [3, await lying(3)],
      ]),
    );
    add(4, await lying(4));
    await expect(shares(60_000).result()).rejects.toMatchObject({ code: 'NOT_DECODABLE', culprits: [] });
  });
});
