import 'reflect-metadata';
import { createHash, randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { X509CertificateGenerator } from '@peculiar/x509';
import { KmsError } from '../../../shared/errors.ts';
import { type Digest, digest } from '../../../shared/ids.ts';
import type { RpcEndpoint } from '../../../shared/network/rpc.ts';
import { type Answer, type FrontFault, lie } from './front-fault.ts';

const CURVE = { name: 'ECDSA', namedCurve: 'P-256' };
const DAY_MS = 86_400_000;
const LIFE_MS = 365 * DAY_MS;
const MAX_REQUEST_BYTES = 1 << 20;

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

  private constructor(upstream: string, pin: Digest, tls: { readonly cert: string; readonly key: string }) {
    this.#upstream = upstream;
    this.pin = pin;
    this.#server = createServer({ ...tls, minVersion: 'TLSv1.2' }, (request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
  }

  /** Listens on the loopback. @param upstream URL of the chain, http */
  static async open(upstream: string): Promise<TlsFront> {
    const { pin, ...tls } = await selfSigned();
    const front = new TlsFront(upstream, pin, tls);
    await new Promise<void>((resolve, reject) => {
      front.#server.once('error', reject).listen(0, '127.0.0.1', resolve);
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
    return { url: `https://${this.address}/rpc`, spkiPins: [this.pin] };
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
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(this.#upstream, { method: 'POST', headers, body: JSON.stringify(call) });
    const value: unknown = await answer.json();
    if (typeof value !== 'object' || value === null)
      throw new KmsError('INTERNAL', 'the chain answers no object');
    return { ...value };
  }
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

async function selfSigned(): Promise<{ readonly cert: string; readonly key: string; readonly pin: Digest }> {
  const keys = await crypto.subtle.generateKey(CURVE, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      ...{ serialNumber: `01${randomBytes(15).toString('hex')}`, name: 'CN=local chain', keys },
      ...{ notBefore: new Date(Date.now() - DAY_MS), notAfter: new Date(Date.now() + LIFE_MS) },
      signingAlgorithm: { ...CURVE, hash: 'SHA-256' },
    },
    crypto,
  );
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  const spki = Buffer.from(await crypto.subtle.exportKey('spki', keys.publicKey));
  return {
    cert: certificate.toString('pem'),
    key: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`,
    pin: digest(createHash('sha256').update(spki).digest('hex')),
  };
}
