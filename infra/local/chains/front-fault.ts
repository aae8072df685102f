import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** How an endpoint fails those who ask it. */
export type FrontFault =
  | { readonly kind: 'none' }
  /** Blocks have other hashes than they have. */
  | { readonly kind: 'false hashes' }
  /** No newer block than this exists. */
  | { readonly kind: 'frozen'; readonly at: bigint }
  | { readonly kind: 'other chain'; readonly chainId: bigint }
  | { readonly kind: 'garbage' }
  | { readonly kind: 'error' }
  | { readonly kind: 'status'; readonly status: number }
  /** Takes so long. */
  | { readonly kind: 'slow'; readonly ms: number }
  /** Ends the connection. */
  | { readonly kind: 'closes' }
  | { readonly kind: 'huge'; readonly bytes: number };

/** What a chain answers to one call. */
export interface Answer {
  readonly [name: string]: unknown;
}

type Forward = (call: unknown) => Promise<Answer>;

const CHUNK = Buffer.alloc(64 * 1024, 'a');

/** Answers one call, falsely or not. @param forward asks the chain */
export async function lie(
  fault: FrontFault,
  call: unknown,
  response: ServerResponse,
  forward: Forward,
): Promise<void> {
  const send = (answer: Answer): void => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  };
  switch (fault.kind) {
    case 'none':
      return send(await forward(call));
    case 'false hashes':
      return send(withFalseHashes(await forward(call)));
    case 'frozen':
      return send(await frozen(call, fault.at, forward));
    case 'other chain': {
      const answer = await forward(call);
      const isId = methodOf(call) === 'eth_chainId';
      return send(isId ? { ...answer, result: `0x${fault.chainId.toString(16)}` } : answer);
    }
    case 'garbage':
      response.writeHead(200).end('{"jsonrpc": "2.0", "result": ');
      return;
    case 'error':
      return send({ jsonrpc: '2.0', id: entryOf(call, 'id'), error: { code: -32000, message: 'no' } });
    case 'status':
      response.writeHead(fault.status).end(JSON.stringify(await forward(call)));
      return;
    case 'slow':
      await sleep(fault.ms, undefined, { ref: false });
      return send(await forward(call));
    case 'closes':
      response.destroy();
      return;
    case 'huge':
      return sendHuge(response, fault.bytes);
  }
}

/** A valid answer but for its size. */
async function sendHuge(response: ServerResponse, sizeBytes: number): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.write('{"jsonrpc":"2.0","id":1,"result":"');
  for (let sent = 0; sent < sizeBytes && !response.destroyed; sent += CHUNK.length) {
    if (response.write(CHUNK)) continue;
    const { promise, resolve } = Promise.withResolvers<void>();
    response.once('drain', resolve).once('close', resolve);
    await promise;
    response.off('drain', resolve).off('close', resolve);
  }
  response.end('"}');
}

function withFalseHashes(answer: Answer): Answer {
  const { result } = answer;
  if (typeof result !== 'object' || result === null) return answer;
  const hash = `0x${createHash('sha256')
    .update(String(entryOf(result, 'hash')))
    .digest('hex')}`;
  return { ...answer, result: { ...result, hash } };
}

/** The chain as it was at that block. */
async function frozen(call: unknown, at: bigint, forward: Forward): Promise<Answer> {
  const name = methodOf(call) === 'eth_getBlockByNumber' ? paramsOf(call)[0] : undefined;
  if (name === 'latest' || name === 'finalized') {
    const params = [`0x${at.toString(16)}`, false];
    return forward({ ...(typeof call === 'object' ? call : {}), params });
  }
  const answer = await forward(call);
  const number = entryOf(answer.result, 'number');
  return typeof number === 'string' && BigInt(number) > at ? { ...answer, result: null } : answer;
}

function methodOf(call: unknown): unknown {
  return entryOf(call, 'method');
}

function paramsOf(call: unknown): readonly unknown[] {
  const params = entryOf(call, 'params');
  return Array.isArray(params) ? params : [];
}

function entryOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? new Map<string, unknown>(Object.entries(value)).get(name)
    : undefined;
}
