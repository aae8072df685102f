import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';

export const SUBSCRIPTION = '0x7';

/** What an endpoint says of a new block. */
export function noticeOf(subscription: string = SUBSCRIPTION, result: unknown = { number: '0x1' }): string {
  return JSON.stringify({ jsonrpc: '2.0', method: 'eth_subscription', params: { subscription, result } });
}

/** An endpoint that takes subscriptions and announces what the test says. */
export class PlayedAnnouncer {
  readonly #server: WebSocketServer;
  /** In the order in which they came, those that have ended too. */
  readonly connections: WebSocket[] = [];

  private constructor(server: WebSocketServer, answers: boolean) {
    this.#server = server;
    server.on('connection', (socket) => {
      this.connections.push(socket);
      socket.on('error', () => undefined);
      socket.on('message', (data) => {
        const { id, method, params } = JSON.parse(String(data)) as Record<string, unknown>;
        const isSubscription = method === 'eth_subscribe' && String(params) === 'newHeads';
        if (answers && isSubscription) {
          socket.send(JSON.stringify({ jsonrpc: '2.0', id, result: SUBSCRIPTION }));
        }
      });
    });
  }

  /** @param answers whether subscriptions are taken */
  static async start(options: ServerOptions = {}, answers = true): Promise<PlayedAnnouncer> {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0, ...options });
    await once(server, 'listening');
    return new PlayedAnnouncer(server, answers);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  /** To the newest connection. */
  say(what: string | Buffer): void {
    this.connections.at(-1)?.send(what);
  }

  /** With all its connections, at once. */
  async stop(): Promise<void> {
    for (const socket of this.connections) socket.terminate();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
