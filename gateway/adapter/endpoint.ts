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

/** Over HTTP. No answer above the limit is ever held in memory. */
export function httpEndpoint(options: HttpEndpointOptions): Endpoint {
  const { url, timeoutMs = TIMEOUT_MS, maxAnswerBytes = MAX_ANSWER_BYTES } = options;
  let count = 0;
  return {
    async ask(method, params, signal) {
      const id = ++count;
      const limit = AbortSignal.timeout(timeoutMs);
      const request = {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ jsonrpc: '2.0', id, method, params }),
        redirect: 'error' as const,
        signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
      };
      let text: string;
      try {
        const response = await fetch(url, request);
        text = await limitedText(response, maxAnswerBytes);
        // Refusals come with any status; what is no JSON-RPC behind an error status is a broken gateway's page.
        if (!response.ok && !text.trimStart().startsWith('{')) throw new Error(`HTTP ${response.status}`);
      } catch (cause) {
        if (cause instanceof KmsError) throw cause;
        if (limit.aborted) throw new KmsError('TIMEOUT', `the endpoint did not answer ${method} in time`);
        throw new KmsError('UNAVAILABLE', 'the endpoint does not answer', { cause });
      }
      return answerOf(text, id);
    },
  };
}

async function limitedText(response: Response, maxBytes: number): Promise<string> {
  const tooLarge = new KmsError('TOO_LARGE', `an answer has at most ${maxBytes} bytes`);
  if (Number(response.headers.get('content-length') ?? 0) > maxBytes) {
    await response.body?.cancel();
    throw tooLarge;
  }
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    size += part.length;
    // Leaving the loop cancels the rest.
    if (size > maxBytes) throw tooLarge;
    parts.push(part);
  }
  return new TextDecoder().decode(Buffer.concat(parts));
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
