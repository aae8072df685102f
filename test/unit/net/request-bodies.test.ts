import { once } from 'node:events';
import { type ClientHttp2Session, connect, constants } from 'node:http2';
import { type AddressInfo, connect as connectTcp, createServer, type Server } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { create, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import type { NodeApi } from '../../../enclave/api.ts';
import type { GatewayAnswer } from '../../../enclave/gateway/gateway-desk.ts';
import { API_LIMITS, type ApiLimits, apiServer } from '../../../enclave/net/api-server.ts';
import { requireFewFields } from '../../../enclave/net/field-count.ts';
import { concat } from '../../../shared/wire/bytes.ts';
import { AnswerRequestSchema, DescribeRequestSchema } from '../../../shared/wire/generated/kms/v1/node_pb.js';
import { codeThrown } from '../fhe/fixture.ts';

/** Callers without a gRPC library: they send what they like, when they like. */
class Caller {
  readonly #server: Server;
  readonly #session: ClientHttp2Session;

  private constructor(server: Server, session: ClientHttp2Session) {
    this.#server = server;
    this.#session = session;
  }

  static async of(api: Partial<NodeApi>, limits: Partial<ApiLimits> = {}): Promise<Caller> {
    const served = apiServer(api as NodeApi, { ...API_LIMITS, ...limits });
    // Of a TLS socket HTTP/2 uses what any stream has.
    const server = createServer((socket) => served.serve(socket as unknown as TLSSocket));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const session = connect('http://node', { createConnection: () => connectTcp(port, '127.0.0.1') });
    session.on('error', () => {});
    return new Caller(server, session);
  }

  /** @returns where to write the body, and what the node says once it is over: a gRPC status, or that the stream was ended */
  call(method: string): { readonly body: NodeJS.WritableStream; readonly over: Promise<string> } {
    const stream = this.#session.request({
      ...{ ':method': 'POST', ':path': `/kms.v1.NodeService/${method}`, te: 'trailers' },
      'content-type': 'application/grpc+proto',
    });
    let status: string | undefined;
    const read = (headers: Readonly<Record<string, unknown>>): void => {
      const said = headers['grpc-status'];
      if (said !== undefined) status = String(said);
    };
    stream
      .on('response', read)
      .on('trailers', read)
      .on('error', () => {});
    stream.resume();
    const over = once(stream, 'close').then(() =>
      stream.rstCode === constants.NGHTTP2_NO_ERROR ? `status ${status}` : `ended ${stream.rstCode}`,
    );
    return { body: stream, over };
  }

  async send(method: string, ...frames: readonly Uint8Array[]): Promise<string> {
    const { body, over } = this.call(method);
    body.end(concat(...frames));
    return over;
  }

  async close(): Promise<void> {
    this.#session.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

const callers: Caller[] = [];
afterEach(async () => {
  for (const caller of callers.splice(0)) await caller.close();
});
const caller = async (api: Partial<NodeApi>, limits: Partial<ApiLimits> = {}): Promise<Caller> => {
  const made = await Caller.of(api, limits);
  callers.push(made);
  return made;
};

function frame(message: Uint8Array): Uint8Array {
  const prefix = new Uint8Array(5);
  new DataView(prefix.buffer).setUint32(1, message.length);
  return concat(prefix, message);
}

const OK = 'status 0';
const INVALID = 'status 3';
const EXHAUSTED = 'status 8';
const OUT_OF_RANGE = 'status 11';
const description = {
  ...{ identity: new Uint8Array(32), bootKey: new Uint8Array(32), network: undefined, phase: 'unjoined' },
  ...{ connectedPeers: [], keyIds: [] },
};
const answered: GatewayAnswer = { epoch: 1n, body: new Uint8Array(1), words: [] };
const idle: Partial<NodeApi> = { describe: async () => description };
const asked = frame(toBinary(DescribeRequestSchema, create(DescribeRequestSchema)));
const answering = (sizeBytes: number): Uint8Array =>
  frame(
    toBinary(AnswerRequestSchema, create(AnswerRequestSchema, { envelopes: [new Uint8Array(sizeBytes)] })),
  );

describe('bodies of calls', () => {
  test('bodies: a message of many small fields is not decoded, known ones or unknown', async () => {
    let answered = 0;
    const node = await caller({
      ...idle,
      answer: async () => ({ epoch: BigInt(answered++), body: asked, words: [] }),
    });
    const few = toBinary(AnswerRequestSchema, create(AnswerRequestSchema, { envelopes: [asked, asked] }));
    expect(await node.send('Answer', frame(few))).toBe(OK);
    // Empty envelopes, and fields that no version knows.
    for (const field of [Uint8Array.of(0x1a, 0), Uint8Array.of(0x78, 1)]) {
      const bytes = new Uint8Array(5000 * 2);
      for (let at = 0; at < bytes.length; at += 2) bytes.set(field, at);
      expect(await node.send('Answer', frame(bytes))).toBe(OUT_OF_RANGE);
    }
    expect(answered).toBe(1);
  });

  test('bodies: each method takes as much as it needs', async () => {
    const node = await caller({ ...idle, answer: async () => answered });
    expect(await node.send('Describe', asked)).toBe(OK);
    const padded = (sizeBytes: number): Uint8Array => {
      // An unknown field of that size.
      const header = Uint8Array.of(
        0x7a,
        (sizeBytes & 127) | 128,
        ((sizeBytes >> 7) & 127) | 128,
        sizeBytes >> 14,
      );
      return frame(concat(header, new Uint8Array(sizeBytes)));
    };
    expect(await node.send('Describe', padded(65_000))).toBe(OK);
    expect(await node.send('Describe', padded(66_000))).toBe(OUT_OF_RANGE);
    expect(await node.send('Answer', answering(66_000))).toBe(OK);
  });

  test('bodies: a call has one message, and all of it', async () => {
    const node = await caller(idle);
    expect(await node.send('Describe', asked, asked)).toBe(INVALID);
    expect(await node.send('Describe', asked.subarray(0, 4))).toBe(INVALID);
    expect(await node.send('Describe')).toBe(INVALID);
    expect(await node.send('Answer', answering(100).subarray(0, -1))).toBe(INVALID);
  });

  test('bodies: all calls together hold so much; what is over is held no longer', async () => {
    const working: (() => void)[] = [];
    const answer = async (): Promise<GatewayAnswer> => {
      await new Promise<void>((resolve) => working.push(resolve));
      return answered;
    };
    const node = await caller({ ...idle, answer }, { maxHeldBytes: 250_000, maxRequests: 4 });
    const calls = [node.send('Answer', answering(100_000)), node.send('Answer', answering(100_000))];
    while (working.length < 2) await turn();
    for (let i = 0; i < 3; i++) expect(await node.send('Answer', answering(100_000))).toBe(EXHAUSTED);
    expect(await node.send('Describe', asked)).toBe(OK);
    for (const done of working.splice(0)) done();
    expect(await Promise.all(calls)).toEqual([OK, OK]);
    const later = node.send('Answer', answering(100_000));
    while (working.length < 1) await turn();
    for (const done of working) done();
    expect(await later).toBe(OK);
  });

  test('bodies: who does not end its body in time loses its call, and the next one is served', async () => {
    const node = await caller(idle, { maxRequests: 1, bodyMs: 50 });
    const { body, over } = node.call('Describe');
    body.write(asked.subarray(0, 2));
    expect(await over).toBe(`ended ${constants.NGHTTP2_CANCEL}`);
    expect(await node.send('Describe', asked)).toBe(OK);
  });

  test('bodies: who is refused before it has sent all does not keep its place', async () => {
    const node = await caller(idle, { maxRequests: 1 });
    const { body, over } = node.call('Describe');
    body.write(new Uint8Array(100_000));
    expect(await over).toBe(OUT_OF_RANGE);
    expect(await node.send('Describe', asked)).toBe(OK);
  });

  test('bodies: a call whose body was in time has all the time to be answered', async () => {
    const done = Promise.withResolvers<void>();
    const describe = async (): Promise<typeof description> => {
      await done.promise;
      return description;
    };
    const node = await caller({ describe }, { bodyMs: 20 });
    const answer = node.send('Describe', asked);
    await new Promise((resolve) => setTimeout(resolve, 60));
    done.resolve();
    expect(await answer).toBe(OK);
  });
});

describe('fields of a message', () => {
  const bytes = fc.uint8Array({ maxLength: 40 });

  test('fields: what protobuf writes passes, and is counted', () => {
    const message = fc.record({ claim: bytes, evidence: bytes, userKey: bytes, envelopes: fc.array(bytes) });
    fc.assert(
      fc.property(message, (fields) => {
        const encoded = toBinary(AnswerRequestSchema, create(AnswerRequestSchema, fields));
        const { claim, evidence, userKey, envelopes } = fields;
        const count = envelopes.length + [claim, evidence, userKey].filter(({ length }) => length > 0).length;
        requireFewFields(encoded, count);
        if (count > 0) expect(codeThrown(() => requireFewFields(encoded, count - 1))).toBe('TOO_LARGE');
      }),
    );
  });

  test('fields: numbers of every wire type are skipped', () => {
    const all = [
      Uint8Array.of(0x08, 0x96, 0x01),
      Uint8Array.of(0x11, 1, 2, 3, 4, 5, 6, 7, 8),
      Uint8Array.of(0x1d, 1, 2, 3, 4),
      Uint8Array.of(0x22, 2, 0x1a, 0x00),
    ];
    requireFewFields(concat(...all), 4);
    expect(codeThrown(() => requireFewFields(concat(...all), 3))).toBe('TOO_LARGE');
  });

  test.each<[string, readonly number[]]>([
    ['group', [0x0b, 0]],
    ['end of a group', [0x0c, 0]],
    ['unknown wire type', [0x0e, 0]],
    ['cut tag', [0x88]],
    ['no value', [0x08]],
    ['endless number', [0x08, ...Array.from({ length: 12 }, () => 0x80), 0]],
    ['cut bytes', [0x0a, 5, 1]],
    ['cut fixed number', [0x11, 1, 2]],
    ['length beyond all bytes', [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]],
  ])('fields: no message: %s', (_, message) => {
    expect(codeThrown(() => requireFewFields(Uint8Array.from(message), 10))).toBe('BAD_ENCODING');
  });

  test('fields: any bytes are counted or refused with a code', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (message) => {
        try {
          requireFewFields(message, 5);
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/^(TOO_LARGE|BAD_ENCODING)$/) });
        }
      }),
    );
  });
});
