import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { hashTypedData, type TypedDataParameter } from 'viem';
import { describe, expect, test } from 'vitest';
import { GatewayDesk, type GatewayRequest } from '../../../enclave/gateway/gateway-desk.ts';
import { SignaturePool, type SignedWord } from '../../../enclave/gateway/signature-pool.ts';
import { nodePrimitives } from '../../../enclave/primitives.ts';
import { KmsError } from '../../../shared/errors.ts';
import type { Envelope } from '../../../shared/fhe/envelope.ts';
import type { Value } from '../../../shared/fhe/value.ts';
import type { Claim, Permission } from '../../../shared/gateway/policy/claim.ts';
import { isSignedBy, signDigest } from '../../../shared/gateway/signature.ts';
import { type Field, type Typed, type TypedName, typedData } from '../../../shared/gateway/typed-data.ts';
import { decodeUserShare } from '../../../shared/gateway/user-share.ts';
import type { PartyId } from '../../../shared/ids.ts';
import type { Rng } from '../../../shared/primitives.ts';
import { concat, fromHex, utf8 } from '../../../shared/wire/bytes.ts';
import { viemValue } from '../../vectors/gateway/typed-samples.ts';
import {
  type Ciphertext,
  ciphertext,
  domain,
  EPOCH,
  hex,
  KEY,
  membership,
  parties,
  resultSigner,
  secretOf,
  signerOf,
  some,
  viemDomain,
} from './desk-fixture.ts';

const never = new AbortController().signal;
const userKey = some('X-Wing');
const one = ciphertext(1);
const two = ciphertext(2);
const base = {
  ...{ requestId: 12n, keyId: KEY, expiresAt: 2_000_000_000n },
  blocks: { gateway: 5n, host: 6n },
};
const handlesOf = (all: readonly Ciphertext[]): readonly Uint8Array[] =>
  all.map(({ permitted }) => permitted.handle);
const common = {
  ...{ requestId: 12n, destinationChainId: 31338n, keyId: fromHex(KEY), keyState: 2, epoch: EPOCH },
};

function publicPermission(all: readonly Ciphertext[] = [one, two]): Extract<Permission, { kind: 'public' }> {
  const [verifier, consumer] = [some('verifier').subarray(12), some('consumer').subarray(12)];
  return {
    kind: 'public',
    ...base,
    ciphertexts: all.map(({ permitted }) => permitted),
    statement: { ...common, verifier, consumer, hostRequest: some('asked'), handles: handlesOf(all) },
  };
}

function userPermission(all: readonly Ciphertext[] = [one, two]): Extract<Permission, { kind: 'user' }> {
  const publicKeyHash = nodePrimitives.sha256(userKey);
  const user = some('user').subarray(12);
  return {
    kind: 'user',
    ...{ ...base, publicKeyHash, ciphertexts: all.map(({ permitted }) => permitted) },
    statement: { ...common, user, publicKeyHash, handles: handlesOf(all) },
  };
}

const transferPermission: Extract<Permission, { kind: 'transfer' }> = {
  kind: 'transfer',
  ...{ ...base, ciphertexts: [one.permitted] },
  statement: {
    ...{ requestId: 12n, handle: one.permitted.handle, originChainId: 31338n, destinationChainId: 31339n },
    ...{ account: some('account').subarray(12), keyId: fromHex(KEY), kind: 1, level: 3, bound: 7n },
    epoch: EPOCH,
  },
};

/** What wallets compute: nothing of ours. */
function oracleDigest(name: TypedName, statement: Readonly<Record<string, unknown>>): Uint8Array {
  const fields: readonly Field[] = typedData[name];
  const types: Record<string, readonly TypedDataParameter[]> = { [name]: fields };
  const message = Object.fromEntries(
    fields.map(({ name: field }) => [field, viemValue(statement[field] as never)]),
  );
  return fromHex(hashTypedData({ domain: viemDomain, types, primaryType: name, message }).slice(2));
}

interface Played {
  readonly desk: GatewayDesk;
  readonly pool: SignaturePool;
  /** Envelopes that were worked with. */
  readonly opened: WeakRef<Envelope>[];
  readonly sent: { readonly to: PartyId; readonly topic: Uint8Array; readonly word: SignedWord }[];
  /** What may stand in batches. */
  readonly results: Typed<'PublicDecryption'>[];
  readonly request: GatewayRequest;
}

/** @param waitMs 0: nobody else is there */
async function played(permission: Permission, waitMs = 0, wrong = 0n): Promise<Played> {
  const sent: Played['sent'] = [];
  const opened: WeakRef<Envelope>[] = [];
  const results: Played['results'] = [];
  const pool = new SignaturePool({
    ...{ self: parties[0]!, peers: parties.slice(1), nowMs: () => 0 },
    signerOf: async (party) => signerOf(party),
    send: (to, topic, word) => sent.push({ to, topic, word }),
  });
  const signer = await resultSigner();
  const desk = new GatewayDesk({
    ...{ membership, domain, signer, pool, waitMs },
    onResult: (statement) => results.push(statement),
    authority: {
      permit: async (claim) => {
        if (claim.length === 0) throw new KmsError('NOT_PERMITTED', 'no');
        return { claim: { kind: permission.kind } as Claim, permission };
      },
    },
    desk: {
      async open(envelope) {
        opened.push(new WeakRef(envelope));
        return { value: { kind: 'scalar', value: envelope.c0[0]! + wrong } satisfies Value, culprits: [] };
      },
      async seal(envelope, requestId, key, rngOf?: (sealed: Uint8Array) => Rng) {
        opened.push(new WeakRef(envelope));
        return concat(utf8(`${envelope.c0[0]}`), requestId, key, rngOf!(some('share'))(8));
      },
    },
  });
  const bytes = permission.kind === 'transfer' ? [] : [one.bytes, two.bytes];
  const isUser = permission.kind === 'user';
  const request = {
    ...{ claim: Uint8Array.of(1), evidence: new Uint8Array(0), envelopes: bytes },
    userKey: isUser ? userKey : new Uint8Array(0),
  };
  return { desk, pool, opened, sent, results, request };
}

const anything = (): void => {};

/** The answer once two others have signed the same. */
async function answered(
  { desk, pool, sent, request }: Played,
  wordOf: (party: number, own: Uint8Array) => SignedWord,
): ReturnType<GatewayDesk['answer']> {
  const answering = desk.answer(request, anything, never);
  // It may be refused before its caller looks.
  answering.catch(anything);
  while (sent.length < 3) await turn();
  const { topic, word } = sent[0]!;
  for (const party of [2, 3]) {
    await pool.receive(parties[party - 1]!, topic, wordOf(party, word.own), false);
  }
  return answering;
}

describe('gateway desk', () => {
  test('gateway desk: a public answer is signed as the contracts read it, the statement of the permission and the values', async () => {
    const permission = publicPermission();
    const result = fromHex(`${'0'.repeat(15)}1${'0'.repeat(15)}2`);
    const digest = oracleDigest('PublicDecryption', { ...permission.statement, result });
    const all = await played(permission, 60_000);
    const answer = await answered(all, (party) => ({
      ...{ own: new Uint8Array(0), signature: signDigest(digest, secretOf(party)) },
    }));
    expect(answer.epoch).toBe(EPOCH);
    expect(answer.body).toEqual(result);
    expect(all.results).toEqual([{ ...permission.statement, result }]);
    expect(answer.words.map(({ party }) => party)).toEqual([1, 2, 3]);
    for (const { party, own, signature } of answer.words) {
      expect(own).toEqual(new Uint8Array(0));
      expect(isSignedBy(signerOf(party), digest, signature)).toBe(true);
    }
  });

  test('gateway desk: members who saw another value do not count', async () => {
    const permission = publicPermission();
    const all = await played(permission);
    const other = oracleDigest('PublicDecryption', { ...permission.statement, result: new Uint8Array(16) });
    const answering = answered(all, (party) => ({
      ...{ own: new Uint8Array(0), signature: signDigest(other, secretOf(party)) },
    }));
    await expect(answering).rejects.toMatchObject({ code: 'NOT_ENOUGH_PARTIES' });
  });

  test('gateway desk: a transfer is signed as the permission says it, and nothing is opened', async () => {
    const digest = oracleDigest('HandleTransfer', transferPermission.statement);
    const all = await played(transferPermission, 60_000);
    const answer = await answered(all, (party) => ({
      ...{ own: new Uint8Array(0), signature: signDigest(digest, secretOf(party)) },
    }));
    expect(answer.body).toEqual(new Uint8Array(0));
    expect(isSignedBy(signerOf(1), digest, answer.words[0]!.signature)).toBe(true);
    expect([all.opened, all.results]).toEqual([[], []]);
  });

  test('gateway desk: a user’s answer has each member’s own digest, and this one’s share sealed to that key for that request', async () => {
    const permission = userPermission();
    const all = await played(permission, 60_000);
    const digestOf = (party: number, shareDigest: Uint8Array): Uint8Array =>
      oracleDigest('UserDecryptionShare', { ...permission.statement, party, shareDigest });
    const answer = await answered(all, (party) => {
      const own = some(`share of ${party}`);
      return { own, signature: signDigest(digestOf(party, own), secretOf(party)) };
    });
    for (const { party, own, signature } of answer.words) {
      expect(own).toEqual(party === 1 ? nodePrimitives.sha256(answer.body) : some(`share of ${party}`));
      expect(isSignedBy(signerOf(party), digestOf(party, own), signature)).toBe(true);
    }
    const shares = decodeUserShare(answer.body);
    const request = new Uint8Array(32).with(31, 12);
    expect(shares.map((share) => share.subarray(0, -8))).toEqual(
      ['1', '2'].map((value) => concat(utf8(value), request, userKey)),
    );
  });

  test('gateway desk: what is not permitted is neither opened nor signed', async () => {
    for (const permission of [publicPermission(), userPermission(), transferPermission]) {
      const { desk, request, opened, sent, results } = await played(permission);
      const asked = desk.answer({ ...request, claim: new Uint8Array(0) }, anything, never);
      await expect(asked).rejects.toMatchObject({ code: 'NOT_PERMITTED' });
      expect([opened, sent, results]).toEqual([[], [], []]);
    }
  });

  test('gateway desk: a command is not answered', async () => {
    const permission = { kind: 'command' } as Permission;
    const { desk, request } = await played(permission);
    await expect(desk.answer(request, anything, never)).rejects.toMatchObject({ code: 'BAD_INPUT' });
  });

  test('gateway desk: whether the node serves that kind is asked before the work and before the answer leaves', async () => {
    for (const permission of [publicPermission(), userPermission(), transferPermission]) {
      const refused = (times: number) => {
        let asked = 0;
        return (kind: string): void => {
          expect(kind).toBe(permission.kind);
          asked += 1;
          if (asked === times) throw new KmsError('UNAVAILABLE', 'not now');
        };
      };
      const before = await played(permission);
      await expect(before.desk.answer(before.request, refused(1), never)).rejects.toMatchObject({
        code: 'UNAVAILABLE',
      });
      expect([before.opened, before.sent]).toEqual([[], []]);
      const after = await played(permission, 60_000);
      const required = refused(2);
      const asking = { ...after, desk: { answer: () => after.desk.answer(after.request, required, never) } };
      const answering = answered(asking as unknown as Played, (party, own) => ({
        own,
        signature: signDigest(
          permission.kind === 'user'
            ? oracleDigest('UserDecryptionShare', { ...permission.statement, party, shareDigest: own })
            : after.sent[0]!.topic,
          secretOf(party),
        ),
      }));
      await expect(answering).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    }
  });
});

describe('gateway desk: what a parent brings', () => {
  const code = async (
    permission: Permission,
    change: Partial<GatewayRequest>,
  ): Promise<readonly [string, number]> => {
    const { desk, request, opened, sent } = await played(permission);
    try {
      await desk.answer({ ...request, ...change }, anything, never);
    } catch (error) {
      expect(sent).toEqual([]);
      return [error instanceof KmsError ? error.code : String(error), opened.length];
    }
    throw new Error('answered');
  };
  const permissions = [publicPermission(), userPermission()];

  test.each<[string, readonly Uint8Array[], string]>([
    ['none', [], 'BAD_INPUT'],
    ['one too few', [one.bytes], 'BAD_INPUT'],
    ['one too many', [one.bytes, two.bytes, two.bytes], 'BAD_INPUT'],
    ['the other order', [two.bytes, one.bytes], 'WRONG_KEY'],
    ['another one', [one.bytes, ciphertext(3).bytes], 'WRONG_KEY'],
    ['no envelope at all', [one.bytes, new Uint8Array(5)], 'WRONG_KEY'],
  ])('gateway desk: other envelopes than the chain has are refused: %s', async (_, envelopes, expected) => {
    for (const permission of permissions) {
      expect(await code(permission, { envelopes })).toEqual([expected, 0]);
    }
  });

  test.each<[string, (permitted: Ciphertext['permitted']) => Partial<Ciphertext['permitted']>]>([
    ['level', ({ bound }) => ({ bound: { ...bound, level: bound.level - 1 } })],
    ['bound', ({ bound }) => ({ bound: { ...bound, bound: bound.bound + 1n } })],
    ['kind', () => ({ kind: 'vector' })],
  ])('gateway desk: an envelope of another %s than the chain permits is not opened', async (_, change) => {
    for (const permission of permissions) {
      const ciphertexts = permission.ciphertexts.map((all) => ({ ...all, ...change(all) }));
      expect(await code({ ...permission, ciphertexts } as Permission, {})).toEqual(['WRONG_KEY', 0]);
    }
  });

  test('gateway desk: an envelope under another key than the request’s is not opened', async () => {
    for (const permission of permissions) {
      const keyId = 'ab'.repeat(32) as typeof KEY;
      expect(await code({ ...permission, keyId }, {})).toEqual(['WRONG_KEY', 0]);
    }
  });

  test('gateway desk: another user key than the permit’s is refused', async () => {
    for (const key of [new Uint8Array(0), some('another X-Wing key')]) {
      expect(await code(userPermission(), { userKey: key })).toEqual(['BAD_INPUT', 0]);
    }
  });

  test('gateway desk: a result that no contract would take is not begun', async () => {
    // Nine vectors of 4096 numbers: 288 KiB.
    const all = Array.from({ length: 9 }, (_, i) => ciphertext(i, 'vector'));
    const envelopes = all.map(({ bytes }) => bytes);
    expect(await code(publicPermission(all), { envelopes })).toEqual(['TOO_LARGE', 0]);
  });
});

describe('gateway desk: users’ shares', () => {
  const failing = async ({ desk, request }: Played): Promise<void> => {
    await expect(desk.answer(request, anything, never)).rejects.toMatchObject({ code: 'NOT_ENOUGH_PARTIES' });
  };
  const said = ({ sent }: Played): readonly string[] => [...new Set(sent.map(({ word }) => hex(word.own)))];

  test('gateway desk: a request that is repeated gets the share that was signed, in a later life as well', async () => {
    const first = await played(userPermission());
    await failing(first);
    await failing(first);
    const later = await played(userPermission());
    await failing(later);
    expect(said(first)).toHaveLength(1);
    expect(said(later)).toEqual(said(first));
  });

  test('gateway desk: the share that leaves is the one whose digest the words have, however many came between', async () => {
    const permission = userPermission();
    const all = await played(permission, 60_000);
    const digestOf = (party: number, shareDigest: Uint8Array): Uint8Array =>
      oracleDigest('UserDecryptionShare', { ...permission.statement, party, shareDigest });
    const word = (party: number, own: Uint8Array): SignedWord => ({
      own,
      signature: signDigest(digestOf(party, own), secretOf(party)),
    });
    await answered(all, word);
    const again = await all.desk.answer(all.request, anything, never);
    expect(again.words[0]!.own).toEqual(nodePrimitives.sha256(again.body));
  });

  test('gateway desk: nothing of a ciphertext stays in memory when its request is over', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    for (const permission of [publicPermission(), userPermission()]) {
      const all = await played(permission);
      await failing(all);
      expect(all.opened).toHaveLength(2);
      await turn();
      collect();
      expect(all.opened.map((one) => one.deref())).toEqual([undefined, undefined]);
    }
  });
});
