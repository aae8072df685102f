import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { AttestationRoot } from '../../../shared/attestation/root.ts';
import { SignatureV4Error } from '../aws/signature-fault.ts';
import { sha256Hex, verifySignatureV4 } from '../aws/signature-v4.ts';
import { RecipientDesk } from './attested-recipient.ts';
import { dataOperations } from './data-operations.ts';
import { type Faults, faultyAnswer, faultyBody, HangUp } from './faults.ts';
import { Fields } from './fields.ts';
import { keyOperations } from './key-operations.ts';
import { type Answer, KeyRing, type Operations } from './key-ring.ts';
import type { KeyStore } from './key-store.ts';
import type { Principals } from './principals.ts';
import { ServiceError } from './service-error.ts';

export interface KmsServerOptions {
  readonly store: KeyStore;
  readonly principals: Principals;
  readonly region: string;
  /** Whose attestation documents count. */
  readonly roots: readonly AttestationRoot[];
  /** PEM; without them requests come in the clear. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** 0 takes any. */
  readonly port?: number;
  readonly nowMs?: () => number;
  readonly faults?: Faults;
}

export interface KmsServer {
  readonly port: number;
  close(): Promise<void>;
}

const MAX_BODY_BYTES = 512 * 1024;
const CONTENT_TYPE = 'application/x-amz-json-1.1';
const TARGET = /^TrentService\.(\w{1,64})$/;

/** KMS on a loopback port, by the AWS JSON 1.1 protocol. */
export async function startKmsServer(options: KmsServerOptions): Promise<KmsServer> {
  const { store, region, roots, tls, port = 0, nowMs = () => Date.now() } = options;
  const ring = new KeyRing(store, region, nowMs);
  const operations = new Map([...dataOperations(ring, new RecipientDesk(roots)), ...keyOperations(ring)]);
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    respond({ ...options, nowMs }, operations, request, response).catch(() => request.socket.destroy());
  };
  const server =
    tls === undefined ? createServer(handle) : createTlsServer({ ...tls, minVersion: 'TLSv1.2' }, handle);
  return { port: await listening(server, port), close: () => closed(server) };
}

async function respond(
  options: KmsServerOptions & { readonly nowMs: () => number },
  operations: Operations,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const body = await bodyOf(request);
    send(response, 200, await answer(options, operations, request, body));
  } catch (error) {
    if (error instanceof HangUp) {
      request.socket.destroy();
      return;
    }
    const [name, status, message] = faceOf(error);
    response.setHeader('x-amzn-errortype', name);
    // Clients with another clock take over that of the service.
    response.setHeader('date', new Date(options.nowMs()).toUTCString());
    send(response, status, { __type: name, message });
  }
}

async function answer(
  { principals, region, tls, faults, nowMs }: KmsServerOptions & { readonly nowMs: () => number },
  operations: Operations,
  request: IncomingMessage,
  body: Uint8Array,
): Promise<Answer> {
  const [path = '', query = ''] = (request.url ?? '').split('?', 2);
  const signature = verifySignatureV4({
    ...{ method: request.method ?? '', path, query, headers: request.headers, region, service: 'kms' },
    ...{ payloadHash: sha256Hex(body), nowMs: nowMs(), secretOf: (id) => principals.secretOf(id) },
  });
  const { accessKeyId, sessionToken } = signature;
  const principal = principals.bySignature(accessKeyId, sessionToken, nowMs());
  const name = TARGET.exec(String(request.headers['x-amz-target']))?.[1] ?? '';
  const operation = operations.get(name);
  if (operation === undefined || request.method !== 'POST' || path !== '/') {
    throw new ServiceError('UnknownOperationException', `no operation ${name}`);
  }
  const fault = faults?.(name);
  const fields = Fields.parse(await faultyBody(fault, body));
  return faultyAnswer(fault, await operation({ principal, fields, isSecure: tls !== undefined }));
}

async function bodyOf(request: IncomingMessage): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request) {
    size += part.length;
    if (size > MAX_BODY_BYTES)
      throw new ServiceError('RequestEntityTooLargeException', 'the request is too large', 413);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function faceOf(error: unknown): readonly [string, number, string] {
  if (error instanceof ServiceError) return [error.name, error.status, error.message];
  if (error instanceof SignatureV4Error) return [error.code, error.status, error.message];
  return ['KMSInternalException', 500, 'the stand-in failed'];
}

function send(response: ServerResponse, status: number, members: Answer): void {
  const body = Buffer.from(JSON.stringify(members));
  response.writeHead(status, {
    'content-type': CONTENT_TYPE,
    'content-length': body.length,
    'x-amzn-requestid': randomUUID(),
  });
  response.end(body);
}

function listening(server: Server, port: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.once('error', reject);
  server.listen(port, '127.0.0.1', () => {
    const address: AddressInfo | string | null = server.address();
    if (typeof address === 'object' && address !== null) resolve(address.port);
    else reject(new Error('no port'));
  });
  return promise;
}

function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}
