import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { post } from '../../../gateway/adapter/endpoint.ts';
import { KmsError } from '../../../shared/errors.ts';
import type { Digest } from '../../../shared/ids.ts';
import type { RpcEndpoint } from '../../../shared/network/rpc.ts';
import { type Answer, type FrontFault, lie } from './front-fault.ts';
import { type FrontIdentity, freshIdentity, pinOf } from './front-identity.ts';

const MAX_REQUEST_BYTES = 1 << 20;
const LIMITS = { timeoutMs: 20_000, maxAnswerBytes: 64 << 20 };

/**
 * A JSON-RPC endpoint with TLS before a chain of this machine, as enclaves ask it: its certificate is its own, its public key
 * is what a configuration pins. It can be told to lie.
 */
export class TlsFront implements AsyncDisposable {
  /** Changes take effect with the next request. */
  fault: FrontFault = { kind: 'none' };
  /** Requests so far. */
  asked = 0;
  /** SHA-256 of its DER SubjectPublicKeyInfo. */
  readonly pin: Digest;
  readonly #server: Server;
  readonly #upstream: string;

  private constructor(upstream: string, identity: FrontIdentity) {
    this.#upstream = upstream;
    this.pin = pinOf(identity);
    this.#server = createServer({ ...identity, minVersion: 'TLSv1.2' }, (request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
  }

  /**
   * Listens on the loopback.
   * @param upstream URL of the chain, http
   * @param port 0: any free one
   * @param identity default: a fresh one
   */
  static async open(upstream: string, port = 0, identity?: FrontIdentity): Promise<TlsFront> {
    const front = new TlsFront(upstream, identity ?? (await freshIdentity()));
    await new Promise<void>((resolve, reject) => {
      front.#server.once('error', reject).listen(port, '127.0.0.1', resolve);
    });
    return front;
  }

  /** `host:port` */
  get address(): string {
    const at = this.#server.address();
    if (at === null || typeof at === 'string') throw new KmsError('INTERNAL', 'the front does not listen');
    return `127.0.0.1:${at.port}`;
  }

  /** For a configuration. */
  get endpoint(): RpcEndpoint {
    return endpointAt(this.address, this.pin);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.asked += 1;
    const call = await bodyOf(request);
    await lie(this.fault, call, response, (asked) => this.#forward(asked));
  }

  async #forward(call: unknown): Promise<Answer> {
    const { text } = await post(new URL(this.#upstream), JSON.stringify(call), LIMITS);
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null)
      throw new KmsError('INTERNAL', 'the chain answers no object');
    return { ...value };
  }
}

/** How a configuration names the front at an address. */
export function endpointAt(address: string, pin: Digest): RpcEndpoint {
  return { url: `https://${address}/rpc`, spkiPins: [pin] };
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let seen = 0;
  for await (const chunk of request) {
    if (!Buffer.isBuffer(chunk)) continue;
    seen += chunk.length;
    if (seen > MAX_REQUEST_BYTES) throw new KmsError('TOO_LARGE', 'the request is too large');
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8'));
}
