import { join } from 'node:path';
import { Evaluator } from '../../client/seal/evaluator.ts';
import { KmsError } from '../../shared/errors.ts';
import { type KeyBytes, keyBytesOf } from '../../shared/fhe/key-material.ts';
import { type Preset, presetByName } from '../../shared/fhe/presets.ts';
import { keyId } from '../../shared/ids.ts';
import { Kernel } from '../../shared/math/kernel/kernel.ts';
import { noble } from '../../shared/noble.ts';
import { keyMaterial } from '../../shared/protocol/keygen/material.ts';
import { certifiedKeyCodec, keyDigest } from '../../shared/protocol/keygen/record.ts';
import { decode } from '../../shared/wire/codec.ts';
import type { keysAbi } from '../adapter/abi/gateway.ts';
import type { Hex } from '../adapter/chain-data.ts';
import type { Place } from '../adapter/config-file.ts';
import { type Contract, read } from '../adapter/contract.ts';
import { readLimited } from '../adapter/durable-file.ts';
import { getLimited } from '../adapter/http-get.ts';

export interface NetworkKeys {
  readonly preset: Preset;
  readonly keys: KeyBytes;
}

/** Public keys of the network, for evaluation. */
export interface EvaluationKeys {
  /** @returns undefined while it is not to be had */
  keysOf(id: Hex): Promise<NetworkKeys | undefined>;
}

/** Where certified records are found under the ids of their keys. Checks nothing but their size. */
export interface RecordSource {
  /** @returns undefined if it has none @throws {KmsError} UNAVAILABLE, TIMEOUT, TOO_LARGE, STORE_FAILED */
  find(id: Hex, signal: AbortSignal): Promise<Uint8Array | undefined>;
}

const MAX_RECORD_BYTES = 256 << 20;
const FETCH_TIMEOUT_MS = 60_000;

/** `GET <url>/<key id>`, as connectors serve it, or a file `<key id>.key`. */
export function recordSource(place: Place): RecordSource {
  if ('directory' in place) {
    return { find: (id) => readLimited(join(place.directory, `${id.slice(2)}.key`), MAX_RECORD_BYTES) };
  }
  const base = place.url.replace(/\/+$/, '');
  return {
    find: (id, signal) => getLimited(`${base}/${id.slice(2)}`, MAX_RECORD_BYTES, signal, FETCH_TIMEOUT_MS),
  };
}

/**
 * Records from the first source whose bytes have the digest that the gateway keeps of the key: one that lies or is down stands in
 * nobody's way.
 */
export function certifiedKeys(
  sources: readonly RecordSource[],
  gatewayKeys: Contract<typeof keysAbi>,
  signal: AbortSignal,
): EvaluationKeys {
  return {
    async keysOf(id) {
      const expected = await read(gatewayKeys, 'keyRecords', [id]);
      let failure: unknown;
      for (const source of sources) {
        try {
          const bytes = await source.find(id, signal);
          if (bytes !== undefined) return await opened(id, bytes, expected);
        } catch (error) {
          failure = error;
        }
      }
      if (failure !== undefined) throw failure;
      return undefined;
    },
  };
}

async function opened(id: Hex, bytes: Uint8Array, expected: Hex): Promise<NetworkKeys> {
  const { record } = decode(certifiedKeyCodec, bytes);
  if (`0x${keyDigest(noble, record)}` !== expected || `0x${record.key}` !== id) {
    throw new KmsError('WRONG_KEY', 'the record is not the one that the gateway knows of this key');
  }
  const preset = presetByName(record.request.preset);
  return { preset, keys: keyBytesOf(keyMaterial(noble, await Kernel.load(), record)) };
}

/** Loaded evaluators, a few at a time. */
export class Evaluators {
  readonly #keys: EvaluationKeys;
  readonly #loaded = new Map<Hex, Evaluator>();
  readonly #most: number;

  constructor(keys: EvaluationKeys, most = 4) {
    [this.#keys, this.#most] = [keys, most];
  }

  /** @returns undefined while the key is not to be had. Good until the next call. */
  async of(id: Hex): Promise<Evaluator | undefined> {
    const known = this.#loaded.get(id);
    if (known !== undefined) return known;
    const found = await this.#keys.keysOf(id);
    if (found === undefined) return undefined;
    const evaluator = await Evaluator.create(found.preset, keyId(id.slice(2)), found.keys);
    const [oldest] = this.#loaded.keys();
    if (this.#loaded.size >= this.#most && oldest !== undefined) {
      this.#loaded.get(oldest)?.[Symbol.dispose]();
      this.#loaded.delete(oldest);
    }
    this.#loaded.set(id, evaluator);
    return evaluator;
  }

  [Symbol.dispose](): void {
    for (const evaluator of this.#loaded.values()) evaluator[Symbol.dispose]();
    this.#loaded.clear();
  }
}
