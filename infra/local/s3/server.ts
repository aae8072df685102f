import { randomBytes } from 'node:crypto';
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { KmsError } from '../../../shared/errors.ts';
import { parseQuery } from '../aws/canonical-request.ts';
import type { Credential } from '../aws/credential.ts';
import { authenticate } from './authentication.ts';
import { BucketStore } from './bucket-store.ts';
import { allowedBucket, dispatch } from './dispatch.ts';
import type { Reply } from './exchange.ts';
import { noFaults, type S3Faults } from './faults.ts';
import { type Files, nodeFiles } from './files.ts';
import { checkKey } from './names.ts';
import { operationOf } from './operation.ts';
import { errorReply, release, send } from './reply.ts';
import { BodyBudget, readBody } from './request-body.ts';
import { S3Error } from './s3-error.ts';

export interface S3ServerOptions {
  /** Holds the buckets; one server at a time. */
  readonly directory: string;
  readonly credentials: readonly Credential[];
  /** `us-east-1` if not given. */
  readonly region?: string;
  /** PEM; without it plain HTTP. */
  readonly tls?: { readonly certificate: string; readonly key: string };
  /** Milliseconds of Unix time. */
  readonly now?: () => number;
  /** For tests. */
  readonly faults?: S3Faults;
  /** For tests. */
  readonly files?: Files;
}

const MAX_HEADER_BYTES = 16 * 1024;
const MAX_CONNECTIONS = 256;
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 60_000;
const IDLE_TIMEOUT_MS = 60_000;

/** An S3-compatible server: many buckets of many accounts, path-style addresses, one region. */
export class S3Server {
  /** Changes take effect with the next request. */
  faults: S3Faults;
  readonly #options: S3ServerOptions;
  readonly #store: BucketStore;
  readonly #credentials: ReadonlyMap<string, Credential>;
  readonly #bodies = new BodyBudget();
  readonly #server: Server;

  private constructor(options: S3ServerOptions, store: BucketStore) {
    this.#options = options;
    this.#store = store;
    this.faults = options.faults ?? noFaults;
    this.#credentials = new Map(options.credentials.map((one) => [one.accessKeyId, one]));
    const settings = {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: IDLE_TIMEOUT_MS,
    };
    const { tls } = options;
    this.#server =
      tls === undefined
        ? createHttpServer(settings)
        : createHttpsServer({ ...settings, cert: tls.certificate, key: tls.key, minVersion: 'TLSv1.2' });
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.on('request', (request, response) => void this.#answer(request, response, () => {}));
    // The client waits with its body until its headers are found good.
    this.#server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
      void this.#answer(request, response, () => response.writeContinue());
    });
  }

  /** Opens the directory; does not listen yet. @throws {KmsError} STORE_FAILED */
  static async open(options: S3ServerOptions): Promise<S3Server> {
    return new S3Server(options, await BucketStore.open(options.files ?? nodeFiles, options.directory));
  }

  /** @param port 0: any. @returns the URL to give to clients @throws {KmsError} UNAVAILABLE */
  async listen(port: number, host = '127.0.0.1'): Promise<string> {
    const server = this.#server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause) =>
        reject(new KmsError('UNAVAILABLE', `cannot listen on ${host}:${port}`, { cause })),
      );
      server.listen(port, host, resolve);
    });
    const address = server.address();
    const bound = typeof address === 'object' && address !== null ? address.port : port;
    const name = host.includes(':') ? `[${host}]` : host;
    return `${this.#options.tls === undefined ? 'http' : 'https'}://${name}:${bound}`;
  }

  /** Ends connections without waiting for their requests. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse, readyForBody: () => void): Promise<void> {
    const requestId = randomBytes(8).toString('hex').toUpperCase();
    let reply: Reply;
    try {
      const result = await this.#serve(request, readyForBody);
      if (result === 'cut') {
        request.socket.destroy();
        return;
      }
      reply = result;
    } catch (error) {
      reply = errorReply(error, request.url ?? '', requestId);
    }
    await send(request, response, reply, requestId);
  }

  async #serve(request: IncomingMessage, readyForBody: () => void): Promise<Reply | 'cut'> {
    const nowMs = (this.#options.now ?? Date.now)();
    const { method = '', headers } = request;
    const target = targetOf(request);
    const { credential, signature, payload } = authenticate(
      { method, headers, path: target.path, query: target.query },
      this.#options.region ?? 'us-east-1',
      this.#credentials,
      nowMs,
    );
    const { bucket: name, key } = addressOf(target.path);
    const query = queryOf(target.query);
    const operation = operationOf(
      method,
      key === undefined ? 'bucket' : 'object',
      query,
      Object.keys(headers),
    );
    const call = {
      operation,
      bucket: name,
      key,
      accessKeyId: credential.accessKeyId,
      account: credential.account,
    };
    const known = { call, caller: credential, query, headers, store: this.#store };
    const since = allowedBucket(known)?.objects.now ?? 0;
    using _held = this.#bodies.take(request);
    readyForBody();
    const { body, trailers } = await readBody(request, payload, signature);

    const { faults } = this;
    const fate = (await faults.before?.(call)) ?? 'serve';
    if (fate === 'cut') return 'cut';
    const exchange = { ...known, body, trailers, faults, nowMs, lose: fate === 'lose' };
    const reply = await dispatch(exchange, allowedBucket(known), since);
    try {
      if ((await faults.after?.(call)) !== 'cut') return reply;
    } catch (error) {
      await release(reply);
      throw error;
    }
    await release(reply);
    return 'cut';
  }
}

/** @throws {S3Error} InvalidURI, InvalidRequest */
function targetOf(request: IncomingMessage): { readonly path: string; readonly query: string } {
  const names = request.rawHeaders.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
  if (new Set(names).size !== names.length) {
    throw new S3Error('InvalidRequest', 'a header is there twice');
  }
  const target = request.url ?? '';
  if (!/^\/[\x21-\x7e]*$/.test(target)) throw new S3Error('InvalidURI', 'the request target is no path');
  const at = target.indexOf('?');
  return at < 0 ? { path: target, query: '' } : { path: target.slice(0, at), query: target.slice(at + 1) };
}

/** `/bucket` or `/bucket/key`. @throws {S3Error} */
function addressOf(path: string): { readonly bucket: string; readonly key: string | undefined } {
  const [, bucket, rest] = /^\/([^/]+)(?:\/(.*))?$/.exec(path) ?? [];
  if (bucket === undefined) throw new S3Error('NotImplemented', 'a list of buckets is not implemented');
  if (rest === undefined || rest === '') return { bucket: decoded(bucket), key: undefined };
  const key = decoded(rest);
  checkKey(key);
  return { bucket: decoded(bucket), key };
}

function queryOf(raw: string): ReadonlyMap<string, string> {
  const pairs = parseQuery(raw);
  const query = new Map(pairs);
  if (query.size !== pairs.length) throw new S3Error('InvalidArgument', 'a query parameter is there twice');
  return query;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new S3Error('InvalidURI', 'could not parse the specified URI', { cause });
  }
}
