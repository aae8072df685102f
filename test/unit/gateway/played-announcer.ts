import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';

export const SUBSCRIPTION = '0x7';
export const CHAIN_ID = 5n;

/** What an endpoint says of a new block. */
export function noticeOf(subscription: string = SUBSCRIPTION, result: unknown = { number: '0x1' }): string {
  return JSON.stringify({ jsonrpc: '2.0', method: 'eth_subscription', params: { subscription, result } });
}

/** An endpoint that takes subscriptions and announces what the test says. */
export class PlayedAnnouncer {
  readonly #server: WebSocketServer;
  #newest: Socket | undefined;
  /** In the order in which they came, those that have ended too. */
  readonly connections: WebSocket[] = [];
  /** What was asked, on all of them. */
  readonly asked: unknown[] = [];

  private constructor(server: WebSocketServer, answers: boolean, chainId: unknown) {
    this.#server = server;
    server.on('connection', (socket, request) => {
      this.connections.push(socket);
      this.#newest = request.socket;
      socket.on('error', () => undefined);
      socket.on('message', (data) => {
        const { id, method, params } = JSON.parse(String(data)) as Record<string, unknown>;
        this.asked.push(method);
        const answer = (result: unknown): void => socket.send(JSON.stringify({ jsonrpc: '2.0', id, result }));
        if (method === 'eth_chainId') answer(chainId);
        const isSubscription = method === 'eth_subscribe' && String(params) === 'newHeads';
        if (answers && isSubscription) answer(SUBSCRIPTION);
      });
    });
  }

  /**
   * @param answers whether subscriptions are taken
   * @param chainId what it says of its chain
   */
  static async start(
    options: ServerOptions = {},
    answers = true,
    chainId: unknown = `0x${CHAIN_ID.toString(16)}`,
  ): Promise<PlayedAnnouncer> {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0, ...options });
    await once(server, 'listening');
    return new PlayedAnnouncer(server, answers, chainId);
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

  /** So often, in one write. */
  sayAtOnce(what: string, times: number): void {
    this.#newest?.cork();
    for (let i = 0; i < times; i++) this.say(what);
    this.#newest?.uncork();
  }

  /** With all its connections, at once. */
  async stop(): Promise<void> {
    for (const socket of this.connections) socket.terminate();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
