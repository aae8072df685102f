import { WebSocket } from 'ws';
import { quantity } from './chain-data.ts';
import { isRecord } from './endpoint.ts';

export interface HeadSubscriptionOptions {
  readonly chainId: bigint;
  /** ws:// or wss:// */
  readonly url: string;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Called when the endpoint has taken the subscription, and for new blocks that it announces then: twice in REST_MS at most. */
  readonly onNotice: () => void;
  /** For connection, handshake and the answers to both questions together. */
  readonly answerMs?: number;
  /** A connection from which nothing comes between two pings is dead. */
  readonly pingMs?: number;
}

/** Headers have less than 2 KiB; some chains add fields of their own. */
const MAX_MESSAGE_BYTES = 64 << 10;
const ANSWER_MS = 10_000;
const PING_MS = 10_000;
/** Nothing is read for so long after a message or a ping: a flood waits at its sender's. */
const REST_MS = 20;
const CHAIN_ID = { jsonrpc: '2.0', id: 1, method: 'eth_chainId', params: [] };
const SUBSCRIBE = { jsonrpc: '2.0', id: 2, method: 'eth_subscribe', params: ['newHeads'] };

/**
 * One subscription to the new blocks of a chain (`eth_subscribe newHeads`), on a connection of its own. The endpoint is untrusted: of
 * what it announces nothing is read but that it is a notice of this subscription, and whatever else it says is passed by. One of another
 * chain is left before it is asked to announce.
 * @returns when it is over, for whatever reason
 */
export function headSubscription(options: HeadSubscriptionOptions): Promise<void> {
  const { chainId, url, signal, onNotice, answerMs = ANSWER_MS, pingMs = PING_MS } = options;
  const { promise, resolve } = Promise.withResolvers<void>();
  const socket = new WebSocket(url, {
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
    // It would answer pings however much waits to go out.
    autoPong: false,
  });
  const end = (): void => socket.terminate();
  const ask = (question: typeof CHAIN_ID | typeof SUBSCRIBE): void => {
    asked = question.id;
    socket.send(JSON.stringify(question));
  };
  let asked: number | undefined;
  let subscription: string | undefined;
  let isAlive = true;
  const alive = (): void => {
    isAlive = true;
  };
  const deadline = setTimeout(end, answerMs);
  let pings: NodeJS.Timeout | undefined;
  let resting: NodeJS.Timeout | undefined;
  let isNoted = false;
  const notice = (): void => {
    if (resting === undefined) onNotice();
    else isNoted = true;
  };
  const rest = (): void => {
    if (resting !== undefined) return;
    socket.pause();
    resting = setTimeout(() => {
      resting = undefined;
      socket.resume();
      if (isNoted) onNotice();
      isNoted = false;
    }, REST_MS);
  };
  signal.addEventListener('abort', end);

  socket.on('open', () => {
    ask(CHAIN_ID);
    pings = setInterval(() => {
      if (!isAlive) return end();
      isAlive = false;
      socket.ping();
    }, pingMs);
  });
  socket.on('pong', alive);
  socket.on('ping', (data) => {
    // Whoever reads no answers gets no more of them: nothing gathers here.
    if (socket.bufferedAmount === 0) socket.pong(data);
    rest();
  });
  socket.on('message', (data, isBinary) => {
    alive();
    const said = isBinary ? undefined : parsed(data.toString());
    if (subscription !== undefined) {
      if (isNotice(said, subscription)) notice();
    } else if (said?.id === CHAIN_ID.id && asked === CHAIN_ID.id) {
      if (!isQuantity(said.result, chainId)) return end();
      ask(SUBSCRIBE);
    } else if (said?.id === SUBSCRIBE.id && asked === SUBSCRIBE.id && typeof said.result === 'string') {
      subscription = said.result;
      clearTimeout(deadline);
      notice();
    }
    rest();
  });
  // By itself it would wait for the other side to close.
  socket.on('error', end);
  socket.once('close', () => {
    clearTimeout(deadline);
    clearInterval(pings);
    clearTimeout(resting);
    signal.removeEventListener('abort', end);
    resolve();
  });
  return promise;
}

function isQuantity(value: unknown, expected: bigint): boolean {
  try {
    return quantity(value) === expected;
  } catch {
    return false;
  }
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
