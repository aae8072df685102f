import { connect } from 'node:tls';
import { type Client, Code, ConnectError, createClient, type Transport } from '@connectrpc/connect';
import { afterEach, describe, expect, it } from 'vitest';
import { MAX_ENVELOPE_BYTES, type NodeApi, type NodeDescription } from '../../../enclave/api.ts';
import type { GatewayAnswer } from '../../../enclave/gateway/gateway-desk.ts';
import { API_LIMITS } from '../../../enclave/net/api-server.ts';
import { toFault } from '../../../enclave/net/fault.ts';
import { grpcOver } from '../../../enclave/net/http2.ts';
import { TLS_POLICY } from '../../../enclave/net/tls-policy.ts';
import { KmsError } from '../../../shared/errors.ts';
import { digest, epochId, keyId, partyId } from '../../../shared/ids.ts';
import { fromHex } from '../../../shared/wire/bytes.ts';
import { FaultSchema, NodeService } from '../../../shared/wire/generated/kms/v1/node_pb.js';
import { DirectService } from '../../direct/generated/kms/direct/v1/direct_pb.js';
import { routesTo } from '../../direct/routes.ts';
import { DirectWork } from '../../direct/work.ts';
import { TestNodes, type TestNodesOptions, tcp, until } from './nodes.ts';

let all: TestNodes | undefined;
const closers: (() => void)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0)) close();
  await all?.close();
  all = undefined;
});

/** Clients of one node that serves this API. */
async function serving(api: Partial<NodeApi>): Promise<() => Promise<Client<typeof NodeService>>> {
  const connected = await transportsTo({ api });
  return async () => createClient(NodeService, await connected());
}

async function transportsTo(options: TestNodesOptions): Promise<() => Promise<Transport>> {
  all = await TestNodes.create(1, options);
  const { address } = all.nodes[0]!;
  return async () => {
    const stream = await tcp(address);
    const socket = connect({
      socket: stream,
      ...TLS_POLICY,
      ALPNProtocols: ['h2'],
      rejectUnauthorized: false,
    });
    socket.on('error', () => {});
    closers.push(() => socket.destroy());
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    return grpcOver(socket);
  };
}

/** The fault that a call fails with: what the node lets out of it. */
async function faultOf(
  call: Promise<unknown>,
): Promise<{ text: string; code?: string; culprits?: number[]; missing?: number[] }> {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    const [fault] = error.findDetails(FaultSchema);
    const { code, culprits, missing } = fault ?? {};
    return { text: error.message, ...(fault && { code: code!, culprits: culprits!, missing: missing! }) };
  }
  throw new Error('the call succeeded');
}

async function last<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const messages: T[] = [];
  for await (const message of stream) messages.push(message);
  return messages;
}

const key = keyId('0a'.repeat(32));
const answer = (body: Uint8Array): GatewayAnswer => ({ epoch: 1n, body, words: [] });

describe('api server', () => {
  it('api server: nobody has a key made or anything decrypted but by evidence of a chain', () => {
    expect(Object.keys(NodeService.method)).toEqual([
      ...['describe', 'join', 'listKeys', 'getKey'],
      ...['answer', 'signBatch', 'signAnchor', 'carryOut'],
    ]);
    for (const { input } of [NodeService.method.answer, NodeService.method.carryOut]) {
      expect(Object.keys(input.field)).toEqual(expect.arrayContaining(['claim', 'evidence']));
    }
  });

  it('api server: describes the node, joined or not', async () => {
    let description: NodeDescription = {
      identity: new Uint8Array(32).fill(1),
      network: undefined,
      bootKey: new Uint8Array(32),
      connectedPeers: [],
      keyIds: [],
      phase: 'unjoined',
    };
    const client = await (await serving({ describe: async () => description }))();
    expect(await client.describe({})).toMatchObject({
      networkId: new Uint8Array(0),
      party: 0,
      phase: 'unjoined',
    });
    description = {
      ...description,
      network: {
        id: digest('bc'.repeat(32)),
        party: partyId(3),
        epoch: epochId(7),
        configuration: { number: 5, digest: digest('cd'.repeat(32)) },
      },
      connectedPeers: [partyId(1), partyId(4)],
      keyIds: [key],
    };
    expect(await client.describe({})).toMatchObject({
      networkId: fromHex('bc'.repeat(32)),
      party: 3,
      epoch: 7,
      configuration: 5,
      configurationDigest: fromHex('cd'.repeat(32)),
      connectedPeers: [1, 4],
      keyIds: [fromHex(key)],
    });
  });

  it('api server: progress of a command is streamed, the statement comes last', async () => {
    const client = await (
      await serving({
        async *carryOut({ claim }) {
          yield { kind: 'progress', phase: `claim of ${claim.length}`, done: 1, total: 2 };
          yield { kind: 'done', statement: fromHex(key), signature: new Uint8Array(65) };
        },
      })
    )();
    const messages = await last(client.carryOut({ claim: new Uint8Array(7) }));
    expect(messages.map(({ phase, done, total }) => [phase, done, total])).toEqual([
      ['claim of 7', 1, 2],
      ['finished', 1, 1],
    ]);
    expect(messages.map((one) => one.statement)).toEqual([new Uint8Array(0), fromHex(key)]);
  });

  it('api server: a key record comes in pieces that make the whole', async () => {
    const record = Uint8Array.from({ length: 3 * 2 ** 20 + 17 }, (_, i) => i * 31);
    const client = await (await serving({ getKey: async () => record }))();
    const pieces = await last(client.getKey({ keyId: fromHex(key) }));
    expect(pieces.length).toBe(4);
    expect(Buffer.concat(pieces.map(({ chunk }) => chunk)).equals(record)).toBe(true);
  });

  it('api server: code, culprits and missing parties go out, the message stays', async () => {
    const secret = 'what really happened';
    const thrown = Object.assign(new KmsError('NOT_ENOUGH_PARTIES', secret, { culprits: [partyId(2)] }), {
      missing: [partyId(3), partyId(4)],
    });
    const client = await (
      await serving({
        answer: () => Promise.reject(thrown),
        listKeys: () => Promise.reject(new TypeError(secret)),
        async *carryOut() {
          yield { kind: 'progress', phase: 'p', done: 0, total: 1 };
          throw new KmsError('SETUP_ABORTED', secret);
        },
        getKey: () => Promise.reject(new KmsError('UNKNOWN_KEY', secret)),
      })
    )();
    const asked = await faultOf(client.answer({}));
    expect(asked).toMatchObject({ code: 'NOT_ENOUGH_PARTIES', culprits: [2], missing: [3, 4] });
    const list = await faultOf(client.listKeys({}));
    expect(list).toMatchObject({ code: 'INTERNAL', culprits: [], missing: [] });
    const commanded = await faultOf(last(client.carryOut({})));
    expect(commanded).toMatchObject({ code: 'SETUP_ABORTED' });
    const get = await faultOf(last(client.getKey({ keyId: fromHex(key) })));
    expect(get).toMatchObject({ code: 'UNKNOWN_KEY' });
    for (const { text } of [asked, list, commanded, get]) expect(text).not.toContain(secret);
  });

  it('api server: wrong sizes never reach the node', async () => {
    const client = await (await serving({}))();
    const envelope = new Uint8Array(1);
    const short = new Uint8Array(31);
    const large = new Uint8Array(MAX_ENVELOPE_BYTES + 1);
    const bad: readonly (readonly [() => Promise<unknown>, string])[] = [
      [() => client.answer({ claim: new Uint8Array(200_000) }), 'TOO_LARGE'],
      [() => client.answer({ evidence: new Uint8Array(5 << 20) }), 'TOO_LARGE'],
      [() => client.answer({ envelopes: [envelope, large] }), 'TOO_LARGE'],
      [() => client.answer({ userKey: short }), 'BAD_INPUT'],
      [() => client.signBatch({ leaves: [new Uint8Array(32), short] }), 'BAD_INPUT'],
      [() => client.signBatch({ leaves: Array.from({ length: 65 }, () => new Uint8Array(32)) }), 'TOO_LARGE'],
      [() => last(client.carryOut({ claim: new Uint8Array(200_000) })), 'TOO_LARGE'],
      [() => last(client.carryOut({ evidence: new Uint8Array(5 << 20) })), 'TOO_LARGE'],
      [() => client.join({ genesis: new Uint8Array(70_000) }), 'TOO_LARGE'],
      [() => client.join({ configurations: [new Uint8Array(70_000)] }), 'TOO_LARGE'],
      [() => last(client.getKey({ keyId: short })), 'BAD_INPUT'],
    ];
    for (const [call, code] of bad) expect(await faultOf(call())).toMatchObject({ code });
    const tooMuch = last(client.carryOut({ evidence: new Uint8Array(9 << 20) }));
    expect(await faultOf(tooMuch)).toMatchObject({ code: 'TOO_LARGE' });
  });

  it('api server: the largest envelope passes unchanged', async () => {
    const envelope = new Uint8Array(MAX_ENVELOPE_BYTES).map((_, i) => i * 13);
    const client = await (
      await serving({ answer: async ({ envelopes }) => answer(nodeDigest(envelopes[0]!)) })
    )();
    expect((await client.answer({ envelopes: [envelope] })).body).toEqual(nodeDigest(envelope));
  });

  it('api server: more decryptions than it computes at once are BUSY, and later ones are served', async () => {
    const gate = Promise.withResolvers<GatewayAnswer>();
    let running = 0;
    const connect = await serving({
      answer: () => {
        running += 1;
        return gate.promise;
      },
    });
    const clients = [await connect(), await connect(), await connect()];
    const accepted = Array.from({ length: API_LIMITS.maxDecryptions }, (_, i) => clients[i % 2]!.answer({}));
    await until(() => running === API_LIMITS.maxDecryptions);
    expect(await faultOf(clients[2]!.answer({}))).toMatchObject({ code: 'BUSY' });
    gate.resolve(answer(new Uint8Array(1)));
    await Promise.all(accepted);
    expect((await clients[2]!.answer({})).body).toEqual(new Uint8Array(1));
  });

  it('api server: requests beyond the limit are BUSY before their bodies are read', async () => {
    const gate = Promise.withResolvers<readonly never[]>();
    let running = 0;
    const connect = await serving({
      listKeys: () => {
        running += 1;
        return gate.promise;
      },
    });
    const clients = [await connect(), await connect(), await connect()];
    const accepted = Array.from({ length: API_LIMITS.maxRequests }, (_, i) => clients[i % 2]!.listKeys({}));
    await until(() => running === API_LIMITS.maxRequests);
    expect(await faultOf(clients[2]!.listKeys({}))).toMatchObject({ code: 'BUSY' });
    gate.resolve([]);
    await Promise.all(accepted);
    expect((await clients[2]!.listKeys({})).keyIds).toEqual([]);
  });

  it('api server: a client that leaves ends the waiting for it', async () => {
    const [asked, ended] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const stop = new AbortController();
    const client = await (
      await serving({
        answer: (_, signal) => {
          asked.resolve();
          signal.addEventListener('abort', () => ended.resolve());
          return new Promise(() => {});
        },
      })
    )();
    const call = client.answer({}, { signal: stop.signal });
    void asked.promise.then(() => stop.abort());
    await expect(call).rejects.toMatchObject({ code: Code.Canceled });
    await ended.promise;
  });

  it('api server: serves another service only where its routes are given, each call within its own limit', async () => {
    const largest = { envelope: new Uint8Array(MAX_ENVELOPE_BYTES) };
    const ordinary = createClient(DirectService, await (await transportsTo({}))());
    await expect(ordinary.decrypt(largest)).rejects.toMatchObject({ code: Code.Unimplemented });
    await all?.close();
    const refusing = new DirectWork(() => {
      throw new KmsError('UNAVAILABLE', 'not in this phase');
    });
    const transport = await (await transportsTo({ furtherRoutes: routesTo(refusing) }))();
    const client = createClient(DirectService, transport);
    expect(await faultOf(client.decrypt(largest))).toMatchObject({ code: 'UNAVAILABLE' });
    const long = { preset: 'p'.repeat(70_000) };
    expect(await faultOf(client.generateKey(long))).toMatchObject({ code: 'TOO_LARGE' });
    expect(await faultOf(createClient(NodeService, transport).listKeys({}))).toMatchObject({
      code: 'UNAVAILABLE',
    });
  });

  it('fault: every code has its own face', () => {
    const codes = ['BAD_ENCODING', 'BUSY', 'INTERNAL', 'TOO_NOISY', 'WRONG_LEVEL'] as const;
    for (const code of codes) {
      const fault = toFault(new KmsError(code, 'inside'));
      expect(fault.details).toHaveLength(1);
      expect(fault.rawMessage).not.toContain('inside');
    }
  });
});

/** A cheap fingerprint of what arrived. */
function nodeDigest(bytes: Uint8Array): Uint8Array {
  let sum = bytes.length;
  for (const byte of bytes) sum = (Math.imul(sum, 31) + byte) >>> 0;
  return Uint8Array.of(sum >>> 24, sum >>> 16, sum >>> 8, sum);
}
