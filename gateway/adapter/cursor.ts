import { KmsError } from '../../shared/errors.ts';
import { fixed, type Hex, quantity } from './chain-data.ts';
import { readLimitedText, writeDurably } from './durable-file.ts';
import { isRecord } from './endpoint.ts';

/** A block, by number and hash. */
export interface Point {
  readonly number: bigint;
  readonly hash: Hex;
}

/**
 * How far a follower is: the newest block whose logs were handled, then older ones, thinner with their age, by which it finds where
 * a reorganised chain left the one it knew. Empty: nothing was handled.
 */
export type Trail = readonly Point[];

/** Where a follower keeps its trail. A trail that was saved is durable. */
export interface CursorStore {
  load(): Promise<Trail>;
  save(trail: Trail): Promise<void>;
}

const DENSE_BLOCKS = 64n;
const MAX_POINTS = 1024;
const MAX_CURSOR_BYTES = 256 << 10;

/** The trail after one more block: every block of the newest 64, then of each doubling of the distance 32. */
export function extended(trail: Trail, point: Point): Trail {
  const kept = trail.filter(({ number }) => {
    const distance = point.number - number;
    let step = 1n;
    while (distance >= step * DENSE_BLOCKS) step *= 2n;
    return number % step === 0n;
  });
  return [point, ...kept].slice(0, MAX_POINTS);
}

/** A file of one follower of one chain. */
export class CursorFile implements CursorStore {
  readonly #path: string;
  readonly #chainId: bigint;

  constructor(path: string, chainId: bigint) {
    this.#path = path;
    this.#chainId = chainId;
  }

  /** @throws {KmsError} STORE_FAILED, BAD_INPUT for a file of another chain or none of ours: it is never repaired silently */
  async load(): Promise<Trail> {
    const text = await readLimitedText(this.#path, MAX_CURSOR_BYTES);
    if (text === undefined) return [];
    try {
      const value: unknown = JSON.parse(text);
      if (!isRecord(value) || !Array.isArray(value.trail) || value.trail.length > MAX_POINTS)
        throw new Error('shape');
      if (quantity(value.chainId) !== this.#chainId) throw new Error('of another chain');
      return value.trail.map(readPoint);
    } catch (cause) {
      throw new KmsError(
        'BAD_INPUT',
        `${this.#path} is no cursor of chain ${this.#chainId}: restore or remove it`,
        {
          cause,
        },
      );
    }
  }

  async save(trail: Trail): Promise<void> {
    const points = trail.map(({ number, hash }) => ({ number: hex(number), hash }));
    await writeDurably(this.#path, JSON.stringify({ chainId: hex(this.#chainId), trail: points }));
  }
}

function readPoint(value: unknown): Point {
  if (!isRecord(value)) throw new Error('no point');
  return { number: quantity(value.number, 64), hash: fixed(value.hash, 32) };
}

function hex(value: bigint): Hex {
  return `0x${value.toString(16)}`;
}
