import { readdir } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { codeOf, KmsError } from '../../shared/errors.ts';
import { MAX_ENVELOPE_BYTES } from '../../shared/fhe/envelope.ts';
import type { Hex } from '../adapter/chain-data.ts';
import { readLimited, removeDurably, writeDurably } from '../adapter/durable-file.ts';
import { digestOf, type EnvelopeStore } from './envelope-store.ts';

export interface UploadsOptions {
  readonly directory: string;
  /** Called with the digest of what came. */
  readonly onUpload: (digest: Hex) => void;
  /** Envelopes by their handles, for whoever wants to read them. */
  readonly store?: Pick<EnvelopeStore, 'get'>;
  /** Envelopes that no chain has named yet; the oldest ones make room. */
  readonly maxEarly?: number;
}

const PATH = /^\/v1\/envelopes\/([0-9a-f]{64})$/;
const HANDLE_PATH = /^\/v1\/ciphertexts\/([0-9a-f]{64})$/;
/** Envelopes that are read into memory at once. */
const MAX_READS = 8;
const BYTES = { 'content-type': 'application/octet-stream' };
const MAX_EARLY = 64;
const MAX_CONNECTIONS = 64;
const REQUEST_TIMEOUT_MS = 60_000;

/**
 * Takes the envelopes of inputs: `PUT /v1/envelopes/<SHA-256>`, whose body has exactly that digest, the one its transaction names. 204 once
 * it is durable. Nobody is asked who it is: bytes that no chain names are few, and give way. `GET /v1/ciphertexts/<handle>` gives the
 * envelope of a handle: it is public, and whoever reads it knows its digest from the chain.
 */
export class Uploads {
  readonly #o: UploadsOptions;
  readonly #server: Server;
  readonly #named = new Set<Hex>();
  /** In the order they came. */
  readonly #early: Set<Hex>;
  #reading = 0;

  private constructor(options: UploadsOptions, held: readonly Hex[]) {
    this.#o = options;
    this.#early = new Set(held);
    this.#server = createServer((request, response) => void this.#serve(request, response));
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.requestTimeout = REQUEST_TIMEOUT_MS;
  }

  static async open(options: UploadsOptions): Promise<Uploads> {
    const names = await readdir(options.directory).catch((): string[] => []);
    const held = names.filter((name) => /^[0-9a-f]{64}$/.test(name)).map((name): Hex => `0x${name}`);
    return new Uploads(options, held);
  }

  /** @returns the port it listens on */
  async listen(port: number, host: string): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject).listen(port, host, resolve);
    });
    const address = this.#server.address();
    if (typeof address !== 'object' || address === null)
      throw new KmsError('UNAVAILABLE', 'uploads do not listen');
    return address.port;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  /** A chain names this input: it is kept until it is dropped. */
  name(digest: Hex): void {
    this.#named.add(digest);
    this.#early.delete(digest);
  }

  async get(digest: Hex): Promise<Uint8Array | undefined> {
    return readLimited(this.#path(digest), MAX_ENVELOPE_BYTES);
  }

  async drop(digest: Hex): Promise<void> {
    await removeDurably(this.#path(digest));
    this.#named.delete(digest);
    this.#early.delete(digest);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const end = (status: number): void => void response.writeHead(status, { connection: 'close' }).end();
    try {
      const handle = HANDLE_PATH.exec(request.url ?? '')?.[1];
      if (handle !== undefined && this.#o.store !== undefined) {
        if (request.method !== 'GET') return end(405);
        const envelope = await this.#read(this.#o.store, `0x${handle}`);
        if (envelope === undefined) return end(404);
        return void response.writeHead(200, { connection: 'close', ...BYTES }).end(envelope);
      }
      const name = PATH.exec(request.url ?? '')?.[1];
      if (name === undefined) return end(404);
      if (request.method !== 'PUT') return end(405);
      const digest: Hex = `0x${name}`;
      const body = await limitedBody(request);
      if (digestOf(body) !== digest) return end(422);
      await this.#keep(digest, body);
      end(204);
    } catch (error) {
      end(codeOf(error) === 'TOO_LARGE' ? 413 : 503);
    }
  }

  /** @throws {KmsError} BUSY; what the store throws */
  async #read(store: Pick<EnvelopeStore, 'get'>, handle: Hex): Promise<Uint8Array | undefined> {
    if (this.#reading >= MAX_READS) throw new KmsError('BUSY', 'too many envelopes are read');
    this.#reading++;
    try {
      return await store.get(handle);
    } finally {
      this.#reading--;
    }
  }

  async #keep(digest: Hex, body: Uint8Array): Promise<void> {
    await writeDurably(this.#path(digest), body);
    if (!this.#named.has(digest)) {
      this.#early.delete(digest);
      this.#early.add(digest);
      const [oldest] = this.#early;
      if (this.#early.size > (this.#o.maxEarly ?? MAX_EARLY) && oldest !== undefined) await this.drop(oldest);
    }
    this.#o.onUpload(digest);
  }

  #path(digest: Hex): string {
    return join(this.#o.directory, digest.slice(2));
  }
}

async function limitedBody(request: IncomingMessage): Promise<Uint8Array> {
  const tooLarge = new KmsError('TOO_LARGE', `an envelope has at most ${MAX_ENVELOPE_BYTES} bytes`);
  if (Number(request.headers['content-length'] ?? 0) > MAX_ENVELOPE_BYTES) throw tooLarge;
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > MAX_ENVELOPE_BYTES) throw tooLarge;
    parts.push(part);
  }
  return Buffer.concat(parts);
}
