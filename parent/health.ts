import { connect as connectHttp2 } from 'node:http2';
import { createConnection, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { fromBinary } from '@bufbuild/protobuf';
import type { Address } from '../shared/address.ts';
import { DescribeResponseSchema } from '../shared/wire/generated/kms/v1/node_pb.js';

/** What a caller from outside would find. */
export type Health =
  | { readonly ok: true; readonly phase: string; readonly connectedPeers: number }
  | { readonly ok: false; readonly reason: string };

const STEP_TIMEOUT_MS = 3_000;
const MAX_ANSWER_BYTES = 64 * 1024;
/** gRPC: not compressed, length 0: DescribeRequest has no fields. */
const EMPTY_MESSAGE = Buffer.alloc(5);
const ANY = new Map([
  ['0.0.0.0', '127.0.0.1'],
  ['::', '::1'],
]);
const PHASE = /^[a-z-]{1,32}$/;

/**
 * Asks the enclave to describe itself, through the parent's own public port, as any client does. Nothing is believed but
 * that it answers: what it is, clients and peers verify, and a parent is nobody to vouch for it.
 */
export async function probe(listen: Address): Promise<Health> {
  const where = `${listen.host}:${listen.port}`;
  let socket: Socket | undefined;
  let secured: TLSSocket | undefined;
  try {
    const host = ANY.get(listen.host) ?? listen.host;
    socket = createConnection({ host, port: listen.port, noDelay: true });
    if (!(await happens(socket, 'connect'))) return failed(`the parent does not accept on ${where}`);
    secured = connectTls({
      ...{ socket, ALPNProtocols: ['h2'], rejectUnauthorized: false },
      ...{ minVersion: 'TLSv1.3', ecdhCurve: 'X25519MLKEM768' },
    });
    if (!(await happens(secured, 'secureConnect'))) {
      return failed(`the parent accepts on ${where}, but no enclave answers behind it`);
    }
    return await describe(secured);
  } finally {
    secured?.destroy();
    socket?.destroy();
  }
}

/** True if the event comes before an error, the end or the limit. */
function happens(socket: Socket, event: 'connect' | 'secureConnect'): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), STEP_TIMEOUT_MS);
    const settle = (value: boolean): void => {
      clearTimeout(timer);
      resolve(value);
    };
    socket.on('error', () => settle(false));
    socket.once('close', () => settle(false));
    socket.once(event, () => settle(true));
  });
}

function describe(socket: TLSSocket): Promise<Health> {
  const { promise, resolve } = Promise.withResolvers<Health>();
  const silence = 'the enclave takes connections, but does not answer';
  const timer = setTimeout(() => resolve(failed(silence)), STEP_TIMEOUT_MS);
  const session = connectHttp2('https://node', { createConnection: () => socket });
  session.on('error', () => resolve(failed(silence)));
  session.once('close', () => resolve(failed(silence)));
  const request = session.request({
    ':method': 'POST',
    ':path': '/kms.v1.NodeService/Describe',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  const chunks: Buffer[] = [];
  let size = 0;
  let status: unknown;
  const note = (headers: NodeJS.Dict<string | string[]>): void => {
    status = headers['grpc-status'] ?? status;
  };
  request.on('response', note).on('trailers', note);
  request.on('error', () => resolve(failed(silence)));
  request.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size <= MAX_ANSWER_BYTES) chunks.push(chunk);
  });
  request.on('end', () => resolve(answerIn(Buffer.concat(chunks), status)));
  request.end(EMPTY_MESSAGE);
  return promise.finally(() => {
    clearTimeout(timer);
    session.destroy();
  });
}

function answerIn(body: Buffer, status: unknown): Health {
  if (status !== '0') return failed('the enclave answers with an error');
  try {
    const { phase, connectedPeers } = fromBinary(DescribeResponseSchema, body.subarray(5));
    if (!PHASE.test(phase)) return failed('the enclave answers, but not what a node answers');
    return { ok: true, phase, connectedPeers: connectedPeers.length };
  } catch {
    return failed('the enclave answers, but not what a node answers');
  }
}

function failed(reason: string): Health {
  return { ok: false, reason };
}
