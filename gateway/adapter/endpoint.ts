import { type ClientRequest, Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { KmsError } from '../../shared/errors.ts';

/** What a chain's endpoint refuses: JSON-RPC's error, as far as programs may branch on it. */
export interface Refusal {
  readonly code: number;
  /** At most 512 characters; whoever runs the endpoint wrote it. */
  readonly message: string;
  /** What a reverting call returned, lower-case hex with 0x, when it did. */
  readonly revertData: `0x${string}` | undefined;
}

export type Answer = { readonly result: unknown } | { readonly refusal: Refusal };

/** One JSON-RPC endpoint of one chain. Untrusted: its answers are decoded strictly by those who ask. */
export interface Endpoint {
  /**
   * @throws {KmsError} UNAVAILABLE or TIMEOUT (ask again later), TOO_LARGE (ask for less), BAD_ENCODING (it does not
   * speak JSON-RPC)
   */
  ask(method: string, params: readonly unknown[], signal?: AbortSignal): Promise<Answer>;
}

export interface HttpEndpointOptions {
  readonly url: string;
  readonly timeoutMs?: number;
  readonly maxAnswerBytes?: number;
}

const TIMEOUT_MS = 20_000;
const MAX_ANSWER_BYTES = 8 << 20;
const MAX_MESSAGE_CHARACTERS = 512;
const HEX = /^0x(?:[0-9a-fA-F]{2})*$/;

const JSON_TYPE = { 'content-type': 'application/json' };
/** Programs around chains ask many times a second: connections stay open, and nothing is made for a question that it does not need. */
const agents = {
  'http:': new HttpAgent({ keepAlive: true }),
  'https:': new HttpsAgent({ keepAlive: true }),
} as const;

/** Over HTTP. No answer above the limit is ever held in memory. */
export function httpEndpoint(options: HttpEndpointOptions): Endpoint {
  const { timeoutMs = TIMEOUT_MS, maxAnswerBytes = MAX_ANSWER_BYTES } = options;
  const url = new URL(options.url);
  let count = 0;
  return {
    async ask(method, params, signal) {
      const id = ++count;
      const body = JSON.stringify({ jsonrpc: '2.0', id, method, params });
      const { status, text } = await post(url, body, { timeoutMs, maxAnswerBytes, signal });
      // Refusals come with any status; what is no JSON-RPC behind an error status is a broken gateway's page.
      if ((status < 200 || status >= 300) && !text.trimStart().startsWith('{')) {
        throw new KmsError('UNAVAILABLE', `the endpoint answers HTTP ${status}`);
      }
      return answerOf(text, id);
    },
  };
}

interface PostLimits {
  readonly timeoutMs: number;
  readonly maxAnswerBytes: number;
  readonly signal?: AbortSignal | undefined;
}

interface Posted {
  readonly status: number;
  readonly text: string;
}

/** @throws {KmsError} UNAVAILABLE, TIMEOUT, TOO_LARGE */
export async function post(url: URL, body: string, limits: PostLimits): Promise<Posted> {
  const isTls = url.protocol === 'https:';
  const { signal } = limits;
  const request = (isTls ? httpsRequest : httpRequest)(url, {
    ...{ method: 'POST', headers: { ...JSON_TYPE, 'content-length': Buffer.byteLength(body) } },
    ...{ agent: agents[isTls ? 'https:' : 'http:'], ...(signal === undefined ? {} : { signal }) },
  });
  let [isLate, isHeard] = [false, false];
  request.once('response', () => {
    isHeard = true;
  });
  const timer = setTimeout(() => {
    isLate = true;
    request.destroy();
  }, limits.timeoutMs);
  try {
    return await answered(request, body, limits.maxAnswerBytes);
  } catch (cause) {
    if (cause instanceof KmsError) throw cause;
    if (isLate) throw new KmsError('TIMEOUT', 'the endpoint did not answer in time', { cause });
    // The other side may close a connection just as it is used again.
    const isStale = request.reusedSocket && !isHeard && signal?.aborted !== true;
    if (isStale) return await post(url, body, limits);
    throw new KmsError('UNAVAILABLE', 'the endpoint does not answer', { cause });
  } finally {
    clearTimeout(timer);
  }
}

function answered(request: ClientRequest, body: string, maxBytes: number): Promise<Posted> {
  return new Promise((resolve, reject) => {
    request.once('error', reject).once('response', (response) => {
      const parts: Buffer[] = [];
      let size = 0;
      const take = (part: Buffer): void => {
        size += part.length;
        if (size <= maxBytes) parts.push(part);
        else {
          reject(new KmsError('TOO_LARGE', `an answer has at most ${maxBytes} bytes`));
          request.destroy();
        }
      };
      response.on('data', take).once('error', reject);
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString('utf8') }),
      );
    });
    request.end(body);
  });
}

function answerOf(text: string, id: number): Answer {
  const value = parsed(text);
  const isAnswer = isRecord(value) && value.jsonrpc === '2.0' && value.id === id;
  if (!isAnswer) throw bad('no answer to this request');
  if (isRecord(value.error)) return { refusal: refusalOf(value.error) };
  if (!('result' in value)) throw bad('neither a result nor an error');
  return { result: value.result };
}

function refusalOf(error: Readonly<Record<string, unknown>>): Refusal {
  const { code, message, data } = error;
  if (typeof code !== 'number' || typeof message !== 'string') throw bad('an error without code and message');
  const revertData =
    typeof data === 'string' && HEX.test(data) ? (data.toLowerCase() as `0x${string}`) : undefined;
  return { code, message: message.slice(0, MAX_MESSAGE_CHARACTERS), revertData };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new KmsError('BAD_ENCODING', 'the endpoint does not speak JSON', { cause });
  }
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function bad(what: string): KmsError {
  return new KmsError('BAD_ENCODING', `the endpoint gives ${what}`);
}
