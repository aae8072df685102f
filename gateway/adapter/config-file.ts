import { KmsError } from '../../shared/errors.ts';
import { fixed, type Hex } from './chain-data.ts';
import { readLimitedText } from './durable-file.ts';
import { isRecord } from './endpoint.ts';
import { type Finality, POLL_MS } from './follower.ts';

/** A chain as a configuration names it. */
export interface ChainConfig {
  readonly url: string;
  readonly chainId: bigint;
  readonly startBlock: bigint;
  readonly finality: Finality;
  /** Where it announces new blocks, ws:// or wss://. */
  readonly headsUrl?: string;
  /** How often it is asked for its newest block, while nobody announces it. */
  readonly pollMs?: number;
}

/** Where things are found under their names: `GET <url>/<name>`, or files. */
export type Place = { readonly url: string } | { readonly directory: string };

const MAX_CONFIG_BYTES = 64 << 10;
const MAX_PLACES = 64;

/** The fields of an object of a configuration, each taken once; what nobody takes is an error. */
export class Fields {
  readonly #where: string;
  readonly #left: Map<string, unknown>;

  /** @throws {KmsError} BAD_INPUT unless value is an object */
  constructor(where: string, value: unknown) {
    if (!isRecord(value)) throw new KmsError('BAD_INPUT', `${where} must be an object`);
    [this.#where, this.#left] = [where, new Map(Object.entries(value))];
  }

  /** @throws {KmsError} BAD_INPUT */
  static async read(path: string): Promise<Fields> {
    const text = await readLimitedText(path, MAX_CONFIG_BYTES);
    if (text === undefined) throw new KmsError('BAD_INPUT', `there is no file ${path}`);
    try {
      return new Fields(path, JSON.parse(text));
    } catch (cause) {
      throw new KmsError('BAD_INPUT', `${path} must hold a JSON object`, { cause });
    }
  }

  text(name: string): string {
    const value = this.#take(name);
    if (typeof value !== 'string' || value === '') throw this.#bad(name, 'a text');
    return value;
  }

  optionalText(name: string): string | undefined {
    return this.#left.has(name) ? this.text(name) : undefined;
  }

  integer(name: string, least: number, most: number, unless?: number): number {
    if (unless !== undefined && !this.#left.has(name)) return unless;
    const value = this.#take(name);
    const isGood = typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most;
    if (!isGood) throw this.#bad(name, `an integer in ${least}..${most}`);
    return value;
  }

  address(name: string): Hex {
    try {
      return fixed(this.text(name), 20);
    } catch (cause) {
      throw this.#bad(name, 'an address', cause);
    }
  }

  object(name: string): Fields {
    return new Fields(`${this.#where}: "${name}"`, this.#take(name));
  }

  optionalObject(name: string): Fields | undefined {
    return this.#left.has(name) ? this.object(name) : undefined;
  }

  list(name: string): readonly Fields[] {
    const value = this.#take(name);
    if (!Array.isArray(value)) throw this.#bad(name, 'a list');
    return value.map((one, i) => new Fields(`${this.#where}: "${name}" ${i + 1}`, one));
  }

  texts(name: string): readonly string[] {
    const value = this.#take(name);
    const isGood = Array.isArray(value) && value.every((one) => typeof one === 'string' && one !== '');
    if (!isGood) throw this.#bad(name, 'a list of texts');
    return value;
  }

  /** @throws {KmsError} BAD_INPUT if anything is left */
  end(): void {
    if (this.#left.size === 0) return;
    throw new KmsError(
      'BAD_INPUT',
      `${this.#where} has unknown fields: ${[...this.#left.keys()].join(', ')}`,
    );
  }

  #take(name: string): unknown {
    const value = this.#left.get(name);
    this.#left.delete(name);
    return value;
  }

  #bad(name: string, what: string, cause?: unknown): KmsError {
    return new KmsError('BAD_INPUT', `${this.#where} needs ${what} as "${name}"`, { cause });
  }
}

/**
 * `url`, `chainId`, `startBlock`, `pollMs`; `headsUrl` where the chain announces its blocks, and `confirmations` unless finalized ones are
 * to be waited for.
 */
export function chainConfig(fields: Fields): ChainConfig {
  const url = httpUrl(fields);
  const chainId = BigInt(fields.integer('chainId', 1, 2 ** 48 - 1));
  const startBlock = BigInt(fields.integer('startBlock', 0, Number.MAX_SAFE_INTEGER, 0));
  const confirmations = fields.integer('confirmations', 0, 10_000, 0);
  const pollMs = fields.integer('pollMs', 10, 60_000, POLL_MS);
  const headsUrl = webSocketUrl(fields);
  const finality: Finality = confirmations === 0 ? 'finalized' : { confirmations };
  return { url, chainId, startBlock, finality, pollMs, ...(headsUrl === undefined ? {} : { headsUrl }) };
}

/** A list of `{"url": "http://..."}` and `{"directory": "..."}`. @throws {KmsError} BAD_INPUT */
export function places(fields: Fields, name: string): readonly Place[] {
  const found = fields.list(name).map(place);
  if (found.length === 0 || found.length > MAX_PLACES) {
    throw new KmsError('BAD_INPUT', `"${name}" has 1..${MAX_PLACES} places`);
  }
  return found;
}

function place(fields: Fields): Place {
  const directory = fields.optionalText('directory');
  const found = directory === undefined ? { url: httpUrl(fields) } : { directory };
  fields.end();
  return found;
}

function httpUrl(fields: Fields): string {
  const url = fields.text('url');
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
    throw new KmsError('BAD_INPUT', `${url} is no http or https URL`);
  }
  return url;
}

function webSocketUrl(fields: Fields): string | undefined {
  const url = fields.optionalText('headsUrl');
  // Nor has it a fragment (RFC 6455, 3).
  if (url !== undefined && !(/^wss?:\/\/[^#]*$/.test(url) && URL.canParse(url))) {
    throw new KmsError('BAD_INPUT', `${url} is no ws or wss URL`);
  }
  return url;
}
