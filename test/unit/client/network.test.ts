import { createServer as createTcpServer } from 'node:net';
import { createServer as createTlsServer, type SecureContextOptions } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type CallOptions, failureOf, type Patience, Unanswered } from '../../../client/network.ts';
import type { NodeClient } from '../../../client/node-channel.ts';
import { KmsClient } from '../../../client/sdk/kms-client.ts';
import type { NodeApi } from '../../../enclave/api.ts';
import { type ErrorCode, KmsError } from '../../../shared/errors.ts';
import { digest, type KeyId, keyId, type PartyId, partyId } from '../../../shared/ids.ts';
import { fromHex } from '../../../shared/wire/bytes.ts';
import { attestedIdentity } from '../../simulator/attested.ts';
import { foundedChain, operators, signedBy, successor } from '../../simulator/network.ts';
import { FakeNetwork, fakeApi, signerOf } from './fake-node.ts';

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

/** A node that refuses everything, and says who is to blame and who is away. */
function failing(
  code: ErrorCode,
  {
    culprits = [],
    missing = [],
  }: { readonly culprits?: readonly number[]; readonly missing?: readonly number[] } = {},
): Partial<NodeApi> {
  const fail = (): never => {
    const error = new KmsError(code, 'text that stays inside', {
      culprits: culprits.map((party) => partyId(party)),
    });
    throw Object.assign(error, { missing });
  };
  return { describe: fail, listKeys: fail, getKey: fail };
}

const listing = (...ids: KeyId[]): Partial<NodeApi> => ({ listKeys: async () => ids });
const all = [1, 2, 3, 4];

async function failure(work: Promise<unknown>): Promise<Unanswered> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof Unanswered)) throw new Error('expected an Unanswered', { cause: error });
  return error;
}

describe('client: a question to all nodes', () => {
  const keysOf = (node: NodeClient, options: CallOptions) => node.listKeys({}, options);

  it('ask: once enough have answered the others get a little longer, and are nobody’s fault', async () => {
    const client = await clientOf([listing(), undefined, listing(), listing()], { graceMs: 100 });
    let heard = 0;
    const { values, faults } = await client.network.ask(keysOf, () => ++heard === 3);
    expect([...values.keys()].sort()).toEqual([1, 3, 4]);
    expect(faults.size).toBe(0);
  });

  it('ask: an answer that is not accepted is the fault of its node', async () => {
    const client = await clientOf(all.map(() => listing()));
    const { values, faults } = await client.network.ask(keysOf, (party) => {
      if (party === partyId(2)) throw new KmsError('BAD_SIGNATURE', 'not signed');
      return false;
    });
    expect([...values.keys()].sort()).toEqual([1, 3, 4]);
    expect(faults.get(partyId(2))?.code).toBe('BAD_SIGNATURE');
  });

  it('failure: two answers of four are not enough; the others are named', async () => {
    const client = await clientOf([listing(), failing('BUSY'), failing('UNKNOWN_KEY'), listing()]);
    expect(await failure(client.listKeys())).toMatchObject({ code: 'NOT_ENOUGH_PARTIES', missing: [2, 3] });
  });

  it('failure: a code, its culprits and its missing parties are believed of more than t nodes', async () => {
    const client = await clientOf([
      failing('TOO_NOISY', { culprits: [4], missing: [3] }),
      failing('TOO_NOISY', { culprits: [4, 2], missing: [1, 3] }),
      listing(),
      failing('BUSY', { culprits: [3] }),
    ]);
    const { code, culprits, missing } = await failure(client.listKeys());
    expect([code, culprits, missing]).toEqual(['TOO_NOISY', [4], [3]]);
  });

  it('failure: answers that are there and do not agree are NOT_DECODABLE', async () => {
    const client = await clientOf(all.map(() => listing()));
    const answers = await client.network.ask(keysOf);
    expect(failureOf(answers, client.network.committee, 3).code).toBe('NOT_DECODABLE');
  });
});

describe('client: keys', () => {
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
