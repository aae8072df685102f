import { WebSocket } from 'ws';
import { isRecord } from './endpoint.ts';

export interface HeadSubscriptionOptions {
  /** ws:// or wss:// */
  readonly url: string;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Called when the endpoint has taken the subscription, and for each new block that it announces then. */
  readonly onNotice: () => void;
  /** For connection, handshake and the answer to the subscription together. */
  readonly answerMs?: number;
  /** A connection from which nothing comes between two pings is dead. */
  readonly pingMs?: number;
}

/** Headers have less than 2 KiB; some chains add fields of their own. */
const MAX_MESSAGE_BYTES = 64 << 10;
const ANSWER_MS = 10_000;
const PING_MS = 10_000;
/** Nothing is read for so long after a message: a flood waits at its sender's. */
const REST_MS = 5;
const ID = 1;
const SUBSCRIBE = JSON.stringify({ jsonrpc: '2.0', id: ID, method: 'eth_subscribe', params: ['newHeads'] });

/**
 * One subscription to the new blocks of a chain (`eth_subscribe newHeads`), on a connection of its own. The endpoint is untrusted: of
 * what it announces nothing is read but that it is a notice of this subscription, and whatever else it says is passed by.
 * @returns when it is over, for whatever reason
 */
export function headSubscription(options: HeadSubscriptionOptions): Promise<void> {
  const { url, signal, onNotice, answerMs = ANSWER_MS, pingMs = PING_MS } = options;
  const { promise, resolve } = Promise.withResolvers<void>();
  const socket = new WebSocket(url, { maxPayload: MAX_MESSAGE_BYTES, perMessageDeflate: false });
  const end = (): void => socket.terminate();
  let subscription: string | undefined;
  let isAlive = true;
  const alive = (): void => {
    isAlive = true;
  };
  const deadline = setTimeout(end, answerMs);
  let pings: NodeJS.Timeout | undefined;
  signal.addEventListener('abort', end);

  socket.on('open', () => {
    socket.send(SUBSCRIBE);
    pings = setInterval(() => {
      if (!isAlive) return end();
      isAlive = false;
      socket.ping();
    }, pingMs);
  });
  socket.on('pong', alive);
  socket.on('message', (data, isBinary) => {
    alive();
    if (!socket.isPaused) {
      socket.pause();
      setTimeout(() => socket.resume(), REST_MS);
    }
    const said = isBinary ? undefined : parsed(data.toString());
    if (subscription !== undefined) {
      if (isNotice(said, subscription)) onNotice();
    } else if (said?.id === ID && typeof said.result === 'string') {
      subscription = said.result;
      clearTimeout(deadline);
      onNotice();
    }
  });
  // By itself it would wait for the other side to close.
  socket.on('error', end);
  socket.once('close', () => {
    clearTimeout(deadline);
    clearInterval(pings);
    signal.removeEventListener('abort', end);
    resolve();
  });
  return promise;
}

function isNotice(said: Readonly<Record<string, unknown>> | undefined, subscription: string): boolean {
  const { method, params } = said ?? {};
  return method === 'eth_subscription' && isRecord(params) && params.subscription === subscription;
}

function parsed(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
