import { connect, createServer, type Http2ServerResponse } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import type { ConnectError, ConnectRouter, Transport } from '@connectrpc/connect';
import { setTrailerStatus } from '@connectrpc/connect/protocol-grpc';
import { connectNodeAdapter, createGrpcTransport } from '@connectrpc/connect-node';
import { readEagerly } from '../../shared/wire/eager.ts';
import { DecoupledSocket } from './decoupled.ts';
import { type BodyLimits, RequestBodies } from './request-bodies.ts';

/** Large enough that one protocol message in flight never waits for a window update. */
export const WINDOW_BYTES = 16 * 2 ** 20;

/** A peer message of 8 MiB and the few bytes around it. */
export const MAX_FRAME_BYTES = 8 * 2 ** 20 + 256;

const MAX_SESSION_MEMORY_MB = 64;
const AUTHORITY = 'https://node';

/** gRPC as a client over a TLS socket whose peer has been verified. The session ends with the socket. */
export function grpcOver(socket: TLSSocket, options: { readonly defaultTimeoutMs?: number } = {}): Transport {
  const session = connect(AUTHORITY, {
    createConnection: () => new DecoupledSocket(socket),
    settings: { initialWindowSize: WINDOW_BYTES, enablePush: false },
    maxSessionMemory: MAX_SESSION_MEMORY_MB,
  });
  session.on('error', () => socket.destroy());
  session.once('connect', () => session.setLocalWindowSize(WINDOW_BYTES));
  return createGrpcTransport({
    ...options,
    baseUrl: AUTHORITY,
    readMaxBytes: MAX_FRAME_BYTES,
    acceptCompression: [],
    sessionManager: {
      authority: AUTHORITY,
      request: async (method, path, headers, options) =>
        readEagerly(session.request({ ...headers, ':method': method, ':path': path }, options)),
      notifyResponseByteRead: () => {},
    },
  });
}

export interface GrpcServerOptions {
  readonly routes: (router: ConnectRouter) => void;
  readonly readMaxBytes: number;
  /** Per stream and per connection: what a peer may send before anybody has read it. */
  readonly windowBytes: number;
  readonly maxConcurrentStreams: number;
  /** More requests than this at once, over all connections, are refused before their bodies are read. */
  readonly maxRequests: number;
  readonly refusal: () => ConnectError;
  /** Where each call has one message: how their bodies are read. */
  readonly bodies?: BodyLimits;
}

/** Serves gRPC on sockets whose peer has been verified; it listens nowhere. */
export interface GrpcServer {
  serve(socket: TLSSocket): void;
}

export function grpcServer(options: GrpcServerOptions): GrpcServer {
  const handler = connectNodeAdapter({
    grpc: true,
    grpcWeb: false,
    connect: false,
    acceptCompression: [],
    readMaxBytes: options.readMaxBytes,
    routes: options.routes,
  });
  const server = createServer({
    settings: {
      initialWindowSize: options.windowBytes,
      maxConcurrentStreams: options.maxConcurrentStreams,
      enablePush: false,
    },
    maxSessionMemory: MAX_SESSION_MEMORY_MB,
  });
  const bodies = options.bodies && new RequestBodies(options.bodies);
  let requests = 0;
  server.on('request', (request, response) => {
    if (requests >= options.maxRequests) {
      refuse(response, options.refusal());
      return;
    }
    requests += 1;
    request.stream.once('close', () => {
      requests -= 1;
    });
    bodies?.readWhole(request);
    handler(request, response);
  });
  server.on('session', (session) => {
    session.on('error', () => session.destroy());
    session.setLocalWindowSize(options.windowBytes);
  });
  server.on('sessionError', () => {});
  return {
    serve(socket) {
      server.emit('connection', new DecoupledSocket(socket));
    },
  };
}

/** gRPC's answer without a body: the status in the headers. */
function refuse(response: Http2ServerResponse, error: ConnectError): void {
  const status = setTrailerStatus(new Headers({ 'content-type': 'application/grpc+proto' }), error);
  response.writeHead(200, Object.fromEntries(status));
  response.end();
}
