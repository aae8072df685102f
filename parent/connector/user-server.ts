import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createSecureContext } from 'node:tls';
import type { Address } from '../../shared/address.ts';
import { codeOf, type ErrorCode, KmsError } from '../../shared/errors.ts';
import { keyId } from '../../shared/ids.ts';
import type { TlsFiles } from './config.ts';
import type { CertifiedKeys } from './enclave-client.ts';
import type { Shares } from './shares.ts';
import { USER_KEY_BYTES, type UserKeys } from './user-keys.ts';

export interface UserServerOptions {
  readonly listen: Address;
  /** Read once: who renews the certificate starts the connector again. */
  readonly tls?: TlsFiles;
  readonly userKeys: Pick<UserKeys, 'put'>;
  readonly shares: Pick<Shares, 'share'>;
  readonly keys: CertifiedKeys;
  /** Which member the node is: it has no other one's shares. */
  readonly party: number;
}

const MAX_CONNECTIONS = 256;
/** Answers of up to 20 MiB that are read into memory at once. */
const MAX_SHARES_AT_ONCE = 8;
/** The enclave holds each of them while it is sent. */
const MAX_KEYS_AT_ONCE = 4;
const REQUEST_TIMEOUT_MS = 10_000;
const IDLE_TIMEOUT_MS = 20_000;
const CERTIFIED_KEY_PATH = /^\/keys\/([0-9a-f]{64})$/;
const KEY_PATH = /^\/user-keys\/([0-9a-f]{64})$/;
const SHARE_PATH = /^\/shares\/(0|[1-9]\d{0,19})\/([1-9]\d?)(?:\/([0-9a-f]{64}))?$/;

/** Browsers may ask from anywhere: nothing here depends on who asks. */
const CORS = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'GET, PUT',
  'access-control-max-age': '86400',
};

const STATUS: Partial<Record<ErrorCode, number>> = {
  BAD_INPUT: 400,
  UNKNOWN_KEY: 404,
  TOO_LARGE: 413,
  BUSY: 503,
  STORE_FAILED: 503,
  UNAVAILABLE: 503,
  TIMEOUT: 503,
};

/**
 * What users need of a parent, over HTTPS, or HTTP where something else ends TLS: `PUT /user-keys/<sha-256>` with the key as the body, and `GET /shares/<request>/<party>`, or
 * `.../<sha-256>` for one that is not the newest; and `GET /keys/<key id>`, a key's certified record as the node serves it. Nobody is
 * authenticated: users' keys are named by their hash, shares are sealed to their user, who finds their digests on chain, and the
 * digest of a record is there too.
 */
export class UserServer {
  readonly #options: UserServerOptions;
  readonly #server: Server;
  #reading = 0;
  #sendingKeys = 0;

  private constructor(options: UserServerOptions, tls: TlsMaterial | undefined) {
    this.#options = options;
    const limits = {
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      maxHeaderSize: 8192,
    };
    const serve = (request: IncomingMessage, response: ServerResponse): void => {
      void this.#serve(request, response);
    };
    this.#server =
      tls === undefined
        ? createServer(limits, serve)
        : createTlsServer({ ...limits, ...tls, handshakeTimeout: REQUEST_TIMEOUT_MS }, serve);
    this.#server.maxConnections = MAX_CONNECTIONS;
    // Also for one that takes its answer too slowly.
    this.#server.timeout = IDLE_TIMEOUT_MS;
  }

  /** @throws {KmsError} UNAVAILABLE if the port is taken, BAD_INPUT for a certificate or key that is none or of another one */
  static async open(options: UserServerOptions): Promise<UserServer> {
    const { listen, tls } = options;
    const server = new UserServer(options, tls === undefined ? undefined : await tlsMaterial(tls));
    const { host, port } = listen;
    await new Promise<void>((resolve, reject) => {
      server.#server.on('error', (cause) => {
        reject(new KmsError('UNAVAILABLE', `cannot listen on ${host}:${port}`, { cause }));
      });
      server.#server.listen(port, host, resolve);
    });
    return server;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const [, key] = CERTIFIED_KEY_PATH.exec(request.url ?? '') ?? [];
      if (request.method === 'GET' && key !== undefined) return await this.#sendKey(key, response);
      const body = await this.#answer(request);
      if (body === undefined) response.writeHead(404, CORS).end();
      else response.writeHead(body.length === 0 ? 204 : 200, { ...CORS, ...BYTES }).end(body);
    } catch (error) {
      // One that has begun can only be broken off.
      if (response.headersSent) return void response.destroy();
      // What is left of a body that is too large is not read.
      response.writeHead(STATUS[codeOf(error)] ?? 500, { ...CORS, connection: 'close' }).end();
    }
  }

  /** No more of it is held than the connection takes. */
  async #sendKey(key: string, response: ServerResponse): Promise<void> {
    if (this.#sendingKeys >= MAX_KEYS_AT_ONCE) throw new KmsError('BUSY', 'too many keys are sent');
    this.#sendingKeys++;
    const ending = new AbortController();
    response.once('close', () => ending.abort());
    try {
      for await (const piece of this.#options.keys.certifiedKey(keyId(key), ending.signal)) {
        if (!response.headersSent) response.writeHead(200, { ...CORS, ...BYTES });
        if (!response.write(piece)) await once(response, 'drain', { signal: ending.signal });
      }
      response.end();
    } finally {
      this.#sendingKeys--;
    }
  }

  async #answer(request: IncomingMessage): Promise<Uint8Array | undefined> {
    const { method, url = '' } = request;
    if (method === 'OPTIONS') return new Uint8Array(0);
    const [, hash] = KEY_PATH.exec(url) ?? [];
    if (method === 'PUT' && hash !== undefined) {
      await this.#options.userKeys.put(hash, await bodyOf(request, USER_KEY_BYTES));
      return new Uint8Array(0);
    }
    const [, id, party, digest] = SHARE_PATH.exec(url) ?? [];
    if (method !== 'GET' || id === undefined || Number(party) !== this.#options.party) return undefined;
    if (this.#reading >= MAX_SHARES_AT_ONCE) throw new KmsError('BUSY', 'too many shares are read');
    this.#reading++;
    try {
      return await this.#options.shares.share(id, digest);
    } finally {
      this.#reading--;
    }
  }
}

interface TlsMaterial {
  readonly cert: Buffer;
  readonly key: Buffer;
}

async function tlsMaterial({ certificateFile, keyFile }: TlsFiles): Promise<TlsMaterial> {
  try {
    const [cert, key] = await Promise.all([readFile(certificateFile), readFile(keyFile)]);
    createSecureContext({ cert, key });
    return { cert, key };
  } catch (cause) {
    throw new KmsError(
      'BAD_INPUT',
      `${certificateFile} and ${keyFile} must hold a certificate and its private key, PEM`,
      { cause },
    );
  }
}

const BYTES = { 'content-type': 'application/octet-stream' };

async function bodyOf(request: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request) {
    const bytes: Buffer = part;
    size += bytes.length;
    if (size > maxBytes) throw new KmsError('TOO_LARGE', `at most ${maxBytes} bytes`);
    parts.push(bytes);
  }
  return new Uint8Array(Buffer.concat(parts));
}
