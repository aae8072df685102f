import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '@noble/hashes/sha2.js';
import { data, fixed, quantity } from '../../gateway/adapter/chain-data.ts';
import { readLimited, writeDurably } from '../../gateway/adapter/durable-file.ts';
import { isRecord } from '../../gateway/adapter/endpoint.ts';
import { KmsError } from '../../shared/errors.ts';
import { SIGNATURE_BYTES } from '../../shared/gateway/signature.ts';
import { fromHex, toHex } from '../../shared/wire/bytes.ts';
import type { EnclaveAnswer, SignedWord } from './enclave-client.ts';

export const MAX_SHARE_BYTES = 20 << 20;
const MAX_TOTAL_BYTES = 4 * 2 ** 30;
const MAX_ANSWER_BYTES = 64 << 10;
const MAX_WORDS = 64;
const REQUEST = /^(?:0|[1-9]\d{0,19})$/;
const DIGEST = /^[0-9a-f]{64}$/;
const ANSWER = 'answer.json';

/**
 * This node's shares for users: a directory for each request, in it each share under its SHA-256, and the answer that came with the newest.
 * The shares are sealed to their users. Only so many bytes are kept; the oldest requests go first.
 */
export class Shares {
  readonly #directory: string;
  readonly #maxTotalBytes: number;
  /** By request. */
  readonly #sizes: Map<string, number>;

  private constructor(directory: string, maxTotalBytes: number, sizes: Map<string, number>) {
    [this.#directory, this.#maxTotalBytes, this.#sizes] = [directory, maxTotalBytes, sizes];
  }

  /** @throws {KmsError} STORE_FAILED */
  static async open(directory: string, maxTotalBytes = MAX_TOTAL_BYTES): Promise<Shares> {
    try {
      await mkdir(directory, { recursive: true });
      const sizes = new Map<string, number>();
      for (const request of (await readdir(directory)).filter((name) => REQUEST.test(name))) {
        const names = await readdir(join(directory, request));
        const files = await Promise.all(names.map((name) => stat(join(directory, request, name))));
        sizes.set(
          request,
          files.reduce((sum, { size }) => sum + size, 0),
        );
      }
      return new Shares(directory, maxTotalBytes, sizes);
    } catch (cause) {
      throw new KmsError('STORE_FAILED', 'the users’ shares cannot be read', { cause });
    }
  }

  /** Durable when the promise resolves, and so before anything is posted. @throws {KmsError} TOO_LARGE, STORE_FAILED */
  async keep(id: bigint, answer: EnclaveAnswer): Promise<void> {
    const { body } = answer;
    if (body.length > MAX_SHARE_BYTES) throw new KmsError('TOO_LARGE', 'the share is too large to be kept');
    const request = String(id);
    const where = join(this.#directory, request);
    await writeDurably(join(where, toHex(sha256(body))), body);
    await writeDurably(join(where, ANSWER), textOf(answer));
    this.#sizes.set(request, (this.#sizes.get(request) ?? 0) + body.length);
    await this.#forgetOldest(request);
  }

  /** The answer to a request that was kept last, its share's bytes left out. @throws {KmsError} BAD_ENCODING, STORE_FAILED */
  async answer(id: bigint): Promise<KeptAnswer | undefined> {
    const bytes = await readLimited(join(this.#directory, String(id), ANSWER), MAX_ANSWER_BYTES);
    return bytes === undefined ? undefined : answerOf(new TextDecoder().decode(bytes));
  }

  /**
   * @param request decimal @param digest 64 hex digits, or undefined for the newest
   * @returns undefined if there is none
   */
  async share(request: string, digest?: string): Promise<Uint8Array | undefined> {
    if (!REQUEST.test(request)) return undefined;
    const name = digest ?? (await this.answer(BigInt(request)))?.digest;
    if (name === undefined || !DIGEST.test(name)) return undefined;
    return readLimited(join(this.#directory, request, name), MAX_SHARE_BYTES);
  }

  async #forgetOldest(except: string): Promise<void> {
    let total = [...this.#sizes.values()].reduce((sum, size) => sum + size, 0);
    const oldestFirst = [...this.#sizes.keys()].sort((a, b) => (BigInt(a) < BigInt(b) ? -1 : 1));
    for (const request of oldestFirst) {
      if (total <= this.#maxTotalBytes) return;
      if (request === except) continue;
      total -= this.#sizes.get(request) ?? 0;
      this.#sizes.delete(request);
      await rm(join(this.#directory, request), { recursive: true, force: true });
    }
  }
}

/** An answer to a user's request, with the name of this node's share. */
export interface KeptAnswer {
  readonly epoch: bigint;
  /** SHA-256 of the share, 64 lower-case hex digits. */
  readonly digest: string;
  readonly words: readonly SignedWord[];
}

function textOf({ epoch, body, words }: EnclaveAnswer): string {
  return JSON.stringify({
    epoch: `0x${epoch.toString(16)}`,
    digest: `0x${toHex(sha256(body))}`,
    words: words.map(({ party, own, signature }) => ({
      party: `0x${party.toString(16)}`,
      own: `0x${toHex(own)}`,
      signature: `0x${toHex(signature)}`,
    })),
  });
}

function answerOf(text: string): KeptAnswer {
  const value: unknown = JSON.parse(text);
  if (!isRecord(value) || !Array.isArray(value.words) || value.words.length > MAX_WORDS) {
    throw new KmsError('BAD_ENCODING', 'this is no answer that was kept');
  }
  const words = value.words.map((word: unknown): SignedWord => {
    if (!isRecord(word)) throw new KmsError('BAD_ENCODING', 'this is no signed word');
    return {
      party: Number(quantity(word.party, 8)),
      own: fromHex(data(word.own, 32).slice(2)),
      signature: fromHex(fixed(word.signature, SIGNATURE_BYTES).slice(2)),
    };
  });
  return { epoch: quantity(value.epoch, 64), digest: fixed(value.digest, 32).slice(2), words };
}
