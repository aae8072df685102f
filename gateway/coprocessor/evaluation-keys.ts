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
import { type Contract, read } from '../adapter/contract.ts';
import { readLimited } from '../adapter/durable-file.ts';

/** Public keys of the network, for evaluation. */
export interface EvaluationKeys {
  /** @returns undefined while it is not to be had */
  keysOf(id: Hex): Promise<{ readonly preset: Preset; readonly keys: KeyBytes } | undefined>;
}

const MAX_RECORD_BYTES = 256 << 20;

/** Certified records as the nodes serve them, in files `<key id>.key`; each must have the digest that the gateway keeps of it. */
export function recordFiles(directory: string, gatewayKeys: Contract<typeof keysAbi>): EvaluationKeys {
  return {
    async keysOf(id) {
      const bytes = await readLimited(join(directory, `${id.slice(2)}.key`), MAX_RECORD_BYTES);
      if (bytes === undefined) return undefined;
      const expected = await read(gatewayKeys, 'keyRecords', [id]);
      const { record } = decode(certifiedKeyCodec, new Uint8Array(bytes));
      if (`0x${keyDigest(noble, record)}` !== expected || `0x${record.key}` !== id) {
        throw new KmsError('WRONG_KEY', 'the record is not the one that the gateway knows of this key');
      }
      const preset = presetByName(record.request.preset);
      return { preset, keys: keyBytesOf(keyMaterial(noble, await Kernel.load(), record)) };
    },
  };
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
