import { createServer, type Server, type ServerResponse } from 'node:http';
import type { Address } from '../shared/address.ts';
import { KmsError } from '../shared/errors.ts';
import type { Health } from './health.ts';
import { PROMETHEUS_TYPE } from './prometheus.ts';

export interface StatusOptions {
  readonly listen: Address;
  readonly metrics: () => string;
  readonly health: () => Promise<Health>;
}

/** An answer is good for so long: who asks often does not make the enclave work. */
const HEALTH_AGE_MS = 1_000;
const MAX_CONNECTIONS = 16;
const REQUEST_TIMEOUT_MS = 10_000;

/** `GET /metrics` and `GET /health` for this machine. */
export class StatusServer {
  readonly #options: StatusOptions;
  readonly #server: Server;
  #health: { readonly atMs: number; readonly answer: Promise<Health> } | undefined;

  private constructor(options: StatusOptions) {
    this.#options = options;
    this.#server = createServer(
      { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS, maxHeaderSize: 8192 },
      (request, response) => void this.#answer(request.method, request.url, response),
    );
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  /** @throws {KmsError} UNAVAILABLE if the port is taken */
  static async open(options: StatusOptions): Promise<StatusServer> {
    const status = new StatusServer(options);
    const { host, port } = options.listen;
    await new Promise<void>((resolve, reject) => {
      status.#server.on('error', (cause) => {
        reject(new KmsError('UNAVAILABLE', `cannot listen on ${host}:${port}`, { cause }));
      });
      status.#server.listen(port, host, resolve);
    });
    return status;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #answer(method: string | undefined, path: string | undefined, to: ServerResponse): Promise<void> {
    if (method !== 'GET') send(to, 405, 'text/plain', 'GET only\n');
    else if (path === '/metrics') send(to, 200, PROMETHEUS_TYPE, this.#options.metrics());
    else if (path === '/health') {
      const health = await this.#recentHealth();
      send(to, health.ok ? 200 : 503, 'application/json', `${JSON.stringify(health)}\n`);
    } else send(to, 404, 'text/plain', 'there are /health and /metrics\n');
  }

  #recentHealth(): Promise<Health> {
    const nowMs = performance.now();
    if (this.#health === undefined || nowMs - this.#health.atMs > HEALTH_AGE_MS) {
      this.#health = { atMs: nowMs, answer: this.#options.health() };
    }
    return this.#health.answer;
  }
}

function send(to: ServerResponse, status: number, type: string, body: string): void {
  to.writeHead(status, { 'content-type': type, 'cache-control': 'no-store', connection: 'close' }).end(body);
}
