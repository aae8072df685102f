import { createServer as createTcpServer } from 'node:net';
import { createServer as createTlsServer, type SecureContextOptions } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Patience, Unanswered } from '../../../client/network.ts';
import { KmsClient } from '../../../client/sdk/kms-client.ts';
import type { NodeApi } from '../../../enclave/api.ts';
import { committee } from '../../../shared/committee.ts';
import { type ErrorCode, KmsError } from '../../../shared/errors.ts';
import { sealEnvelope, type ValueKind } from '../../../shared/fhe/envelope.ts';
import { writeCiphertext } from '../../../shared/fhe/seal/ciphertext.ts';
import type { Value } from '../../../shared/fhe/value.ts';
import { type Digest, digest, type KeyId, keyId, type PartyId, partyId } from '../../../shared/ids.ts';
import type { Residues } from '../../../shared/math/ring.ts';
import { noble } from '../../../shared/noble.ts';
import { encodeValueBytes, signResult } from '../../../shared/protocol/decryption/result.ts';
import { userKeyDigest } from '../../../shared/protocol/user-decryption/sealed-share.ts';
import { fromHex, toHex } from '../../../shared/wire/bytes.ts';
import { attestedIdentity } from '../../simulator/attested.ts';
import { foundedChain, operators, signedBy, successor } from '../../simulator/network.ts';
import { Dealt, preset, ring, user } from '../hpke/dealt.ts';
import { FakeNetwork, fakeApi, signerOf } from './fake-node.ts';

const key = keyId('ab'.repeat(32));
const dealt = new Dealt(committee(4, 1), 'scalar');
const envelope = envelopeOf(dealt.c0, 'scalar');
const ciphertext = digest(toHex(noble.sha256(envelope)));
const value: Value = { kind: 'scalar', value: dealt.plaintext[0]! };
const other: Value = { kind: 'scalar', value: (dealt.plaintext[0]! + 1n) % preset.plainModulus };

let network: FakeNetwork;
const clients: KmsClient[] = [];
beforeAll(async () => {
  network = await FakeNetwork.start();
});
afterEach(() => {
  for (const client of clients.splice(0)) client[Symbol.dispose]();
  network.disconnect();
});
afterAll(() => network.close());

function envelopeOf(c0: Residues, kind: ValueKind): Uint8Array {
  const level = preset.decryptionLevel;
  const c1 = ring.zero().fill(1n);
  return sealEnvelope(
    { keyId: key, preset, kind, bound: { bound: 1n, level } },
    writeCiphertext(preset, { level, c0, c1 }),
  );
}

async function clientOf(
  apis: (Partial<NodeApi> | undefined)[],
  patience: Partial<Patience> = {},
): Promise<KmsClient> {
  network.apis = apis.map((api) => (api === undefined ? undefined : fakeApi(api)));
  const client = await KmsClient.connect({
    genesis: network.chain.genesis,
    configurations: [network.chain.newest.signed],
    patience: { timeoutMs: 20_000, graceMs: 20_000, ...patience },
  });
  clients.push(client);
  return client;
}

function failing(code: ErrorCode, ...culprits: number[]): Partial<NodeApi> {
  const fail = (): never => {
    throw new KmsError(code, 'text that stays inside', { culprits: culprits.map((party) => partyId(party)) });
  };
  return { describe: fail, listKeys: fail, getKey: fail, decrypt: fail, userDecrypt: fail };
}

/** A node that decrypts to the given value and accuses the given parties. */
function deciding(
  party: number,
  decided: Value,
  culprits: number[] = [],
  request?: Digest,
): Partial<NodeApi> {
  return {
    decrypt: async ({ requestId }) => {
      const by = network.membership(party);
      const asked = request ?? digest(toHex(requestId));
      const common = { networkId: by.networkId, request: asked, key, epoch: by.epoch, ciphertext };
      const accused = culprits.map((culprit) => partyId(culprit));
      return signResult(by, { ...common, value: encodeValueBytes(decided) }, accused);
    },
  };
}

/** A node that seals its share, edited, to whoever asks. */
function sharing(party: number, edit?: (share: Residues) => Residues): Partial<NodeApi> {
  return {
    userDecrypt: ({ requestId, userKey }) => {
      const { networkId, epoch } = network.membership(party);
      const digestOfKey = userKeyDigest(noble, userKey);
      const asked = {
        ...dealt.scope,
        request: requestId,
        networkId,
        key,
        epoch,
        ciphertext,
        userKey: digestOfKey,
      };
      return dealt.sealed(party, edit, asked, userKey);
    },
  };
}

const flipped = (share: Residues): Residues => share.fill(share[0]! ^ 1n, 0, 1);
const all = [1, 2, 3, 4];

async function failure(work: Promise<unknown>): Promise<Unanswered> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof Unanswered)) throw new Error('expected an Unanswered', { cause: error });
  return error;
}

describe('client: decrypt', () => {
  it('decrypt: gives the value that all sign', async () => {
    const client = await clientOf(all.map((party) => deciding(party, value)));
    const decrypted = await client.decrypt(envelope);
    expect(decrypted).toEqual({ value, agreeing: all, missing: [], culprits: [] });
  });

  it('decrypt: names who signs another value', async () => {
    const client = await clientOf(all.map((party) => deciding(party, party === 2 ? other : value)));
    expect(await client.decrypt(envelope)).toEqual({
      value,
      agreeing: [1, 3, 4],
      missing: [],
      culprits: [2],
    });
  });

  it('decrypt: names whom more than t agreeing nodes accuse, and nobody on one word', async () => {
    const apis = [
      deciding(1, value, [3]),
      deciding(2, value, [3, 4]),
      deciding(3, value, [1]),
      deciding(4, value),
    ];
    expect(await (await clientOf(apis)).decrypt(envelope)).toMatchObject({
      value,
      agreeing: all,
      culprits: [3],
    });
  });

  it('decrypt: does without a node that fails and one that stays silent only when three remain', async () => {
    const three = await clientOf([deciding(1, value), undefined, deciding(3, value), deciding(4, value)], {
      graceMs: 100,
    });
    expect(await three.decrypt(envelope)).toEqual({ value, agreeing: [1, 3, 4], missing: [2], culprits: [] });
    const two = await clientOf([
      deciding(1, value),
      failing('BUSY'),
      failing('UNKNOWN_KEY'),
      deciding(4, value),
    ]);
    expect(await failure(two.decrypt(envelope))).toMatchObject({
      code: 'NOT_ENOUGH_PARTIES',
      missing: [2, 3],
    });
  });

  it('decrypt: counts no answer for another request, by another party, or unsigned', async () => {
    const replayed = deciding(2, value, [], digest('00'.repeat(32)));
    const garbage: Partial<NodeApi> = { decrypt: async () => new Uint8Array(500) };
    const client = await clientOf([deciding(1, value), replayed, deciding(1, value), garbage]);
    expect((await failure(client.decrypt(envelope))).code).toBe('BAD_SIGNATURE');
  });

  it('decrypt: three nodes that disagree give no value', async () => {
    const third: Value = { kind: 'scalar', value: 3n };
    const client = await clientOf([value, other, third, value].map((v, i) => deciding(i + 1, v)));
    expect((await failure(client.decrypt(envelope))).code).toBe('NOT_DECODABLE');
  });

  it('decrypt: believes a fault, its culprits and its missing parties from more than t nodes', async () => {
    const apis = [
      failing('NOT_ENOUGH_PARTIES', 4),
      failing('NOT_ENOUGH_PARTIES', 4, 2),
      deciding(3, value),
      failing('BUSY'),
    ];
    const { code, culprits } = await failure((await clientOf(apis)).decrypt(envelope));
    expect([code, culprits]).toEqual(['NOT_ENOUGH_PARTIES', [4]]);
    const noisy = await clientOf([
      failing('TOO_NOISY'),
      failing('TOO_NOISY'),
      deciding(3, value),
      deciding(4, value),
    ]);
    expect((await failure(noisy.decrypt(envelope))).code).toBe('TOO_NOISY');
  });

  it('decrypt: refuses bytes that are no ciphertext before asking anybody', async () => {
    const client = await clientOf([]);
    await expect(client.decrypt(envelope.slice(1))).rejects.toMatchObject({ code: 'BAD_ENCODING' });
  });
});

describe('client: userDecrypt', () => {
  it('userDecrypt: puts the shares together', async () => {
    const client = await clientOf(all.map((party) => sharing(party)));
    const decrypted = await client.userDecrypt(envelope, user);
    expect(decrypted).toEqual({ value, agreeing: all, missing: [], culprits: [] });
  });

  it('userDecrypt: names who signs a wrong share and ignores unsigned ones', async () => {
    const lying = await clientOf([sharing(1), sharing(2), sharing(3, flipped), sharing(4)]);
    expect(await lying.userDecrypt(envelope, user)).toEqual({
      value,
      agreeing: [1, 2, 4],
      missing: [],
      culprits: [3],
    });
    const garbage: Partial<NodeApi> = { userDecrypt: async () => new Uint8Array(3000) };
    const garbled = await clientOf([garbage, sharing(2), sharing(3), sharing(4)]);
    expect(await garbled.userDecrypt(envelope, user)).toMatchObject({ value, missing: [1], culprits: [] });
  });

  it('userDecrypt: two usable shares are not enough', async () => {
    const client = await clientOf([sharing(1), sharing(2), failing('INTERNAL'), failing('BUSY')]);
    expect(await failure(client.userDecrypt(envelope, user))).toMatchObject({
      code: 'NOT_ENOUGH_PARTIES',
      missing: [3, 4],
    });
  });
});

describe('client: keys', () => {
  const listing = (...ids: KeyId[]): Partial<NodeApi> => ({ listKeys: async () => ids });
  const [a, b] = [keyId('aa'.repeat(32)), keyId('bb'.repeat(32))];

  it('listKeys: lists what more than t nodes know', async () => {
    const client = await clientOf([listing(b, a), listing(a), listing(a, a), listing()]);
    expect(await client.listKeys()).toEqual([a]);
  });

  it('getKey: a record that is not certified is refused, whoever sends it', async () => {
    const garbage: Partial<NodeApi> = { getKey: async () => new Uint8Array(100) };
    const client = await clientOf([failing('UNKNOWN_KEY'), garbage, garbage, garbage]);
    expect((await failure(client.getKey(a))).code).toBe('BAD_ENCODING');
    const unknown = await clientOf(all.map(() => failing('UNKNOWN_KEY')));
    expect((await failure(unknown.getKey(a))).code).toBe('UNKNOWN_KEY');
  });
});

describe('client: connections', () => {
  const describing = (party: number): Partial<NodeApi> => ({
    describe: async () => ({
      identity: signerOf(party).publicKey,
      network: undefined,
      bootKey: new Uint8Array(32),
      connectedPeers: [],
      keyIds: [],
      phase: 'ready',
    }),
  });
  const upOf = async (client: KmsClient): Promise<readonly PartyId[]> =>
    (await client.status()).filter(({ up }) => up).map(({ party }) => party);

  it('status: tells who is up', async () => {
    const client = await clientOf([describing(1), undefined, describing(3), failing('INTERNAL')], {
      timeoutMs: 2500,
    });
    expect(await upOf(client)).toEqual([1, 3]);
  });

  it('status: connects again after the connection was lost', async () => {
    const client = await clientOf(all.map(describing));
    expect(await upOf(client)).toEqual(all);
    network.disconnect();
    // The loss is noticed by the next turn of the event loop, or costs that one question.
    await client.status();
    expect(await upOf(client)).toEqual(all);
  });

  it('connect: refuses another identity and another network behind an address', async () => {
    const credentials = [
      [signerOf(9), network.networkId],
      [signerOf(2), digest('00'.repeat(32))],
    ] as const;
    for (const [identity, networkId] of credentials) {
      const client = await clientOf(all.map(describing));
      await network.present(2, identity, networkId);
      const answers = await client.network.ask((node, options) => node.describe({}, options));
      expect([...answers.values.keys()].sort()).toEqual([1, 3, 4]);
      expect(answers.faults.get(partyId(2))?.code).toBe('BAD_PEER');
    }
    await network.present(2, signerOf(2), network.networkId);
  });

  it('connect: refuses a server without the hybrid group, and one that is no TLS server', async () => {
    const identity = await attestedIdentity(signerOf(1), network.networkId);
    const classical: SecureContextOptions = { ...identity, minVersion: 'TLSv1.3', ecdhCurve: 'X25519' };
    const servers = [
      createTlsServer({ ...classical, ALPNProtocols: ['h2'] }),
      createTcpServer((socket) => socket.end('hello')),
    ];
    for (const server of servers) {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const address = server.address();
      if (address === null || typeof address === 'string') throw new Error('no port');
      const { genesis, newest } = network.chain;
      const members = newest.signed.configuration.members.map((member) =>
        member.party === 1 ? { ...member, address: `127.0.0.1:${address.port}` } : member,
      );
      const client = await KmsClient.connect({
        genesis,
        configurations: foundedChain(members).links.map(({ signed }) => signed),
        patience: { timeoutMs: 10_000 },
      });
      clients.push(client);
      const { faults } = await client.network.ask((node, options) => node.describe({}, options));
      expect(faults.get(partyId(1))?.code).toBe('UNAVAILABLE');
      server.close();
    }
  });

  it('connect: a member is found at its old address while it has not moved to its new one', async () => {
    network.apis = [1, 2, 3, 4].map((party) =>
      fakeApi({ listKeys: async () => [keyId(`${party}`.repeat(64))] }),
    );
    const { genesis, newest } = network.chain;
    const { members } = newest.signed.configuration;
    const moved = successor(network.chain, {
      members: members.map((member) => ({ ...member, address: `127.0.0.1:${member.party}` })),
    });
    const client = await KmsClient.connect({
      genesis,
      configurations: [newest.signed, signedBy(operators(4).slice(1), moved, genesis.governance)],
      patience: { timeoutMs: 10_000 },
    });
    clients.push(client);
    const { values } = await client.network.ask((node, options) => node.listKeys({}, options));
    expect(values.size).toBe(4);
  });

  it('connect: refuses what is no genesis, and configurations that its governance did not sign', async () => {
    const { genesis, newest } = network.chain;
    const none = KmsClient.connect({ genesis: fromHex('00'), configurations: [] });
    await expect(none).rejects.toMatchObject({ code: 'BAD_GENESIS' });
    const unsigned = { ...newest.signed, signatures: newest.signed.signatures.slice(2) };
    const few = KmsClient.connect({ genesis, configurations: [unsigned] });
    await expect(few).rejects.toMatchObject({ code: 'BAD_SIGNATURE' });
    const empty = KmsClient.connect({ genesis, configurations: [] });
    await expect(empty).rejects.toMatchObject({ code: 'BAD_CONFIGURATION' });
  });
});
