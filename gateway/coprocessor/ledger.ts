import { join } from 'node:path';
import { KmsError } from '../../shared/errors.ts';
import { data, fixed, type Hex, quantity } from '../adapter/chain-data.ts';
import { readLimitedText, writeDurably } from '../adapter/durable-file.ts';
import { isRecord } from '../adapter/endpoint.ts';

/** What this coprocessor found a handle to name, as Ciphertexts.commit takes it. */
export interface KnownCiphertext {
  readonly handle: Hex;
  readonly keyId: Hex;
  /** SHA-256 of the envelope. */
  readonly digest: Hex;
  /** 1 scalar, 2 vector. */
  readonly kind: number;
  readonly level: number;
  readonly bound: bigint;
  readonly provenance: Hex;
}

const MAX_ENTRY_BYTES = 4096;

/**
 * A file for each handle that was evaluated. `dead`: it never will be, since its input's bytes are not what they were said to be, or the
 * result would be no encryption; every honest coprocessor finds the same.
 */
export class Ledger {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** @throws {KmsError} STORE_FAILED, BAD_ENCODING for a damaged entry */
  async get(handle: Hex): Promise<KnownCiphertext | 'dead' | undefined> {
    const text = await readLimitedText(this.#path(handle), MAX_ENTRY_BYTES);
    if (text === undefined) return undefined;
    return text === 'dead' ? 'dead' : entryOf(handle, text);
  }

  /** Durable when the promise resolves. */
  async put(entry: KnownCiphertext): Promise<void> {
    const text = JSON.stringify({ ...entry, bound: `0x${entry.bound.toString(16)}` });
    await writeDurably(this.#path(entry.handle), text);
  }

  async bury(handle: Hex): Promise<void> {
    await writeDurably(this.#path(handle), 'dead');
  }

  #path(handle: Hex): string {
    return join(this.#directory, `${handle.slice(2)}.entry`);
  }
}

function entryOf(handle: Hex, text: string): KnownCiphertext {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new KmsError('BAD_ENCODING', 'an entry of the ledger is damaged', { cause });
  }
  if (!isRecord(value) || data(value.handle, 32) !== handle) {
    throw new KmsError('BAD_ENCODING', 'an entry of the ledger is of another handle');
  }
  const { kind, level } = value;
  if (typeof kind !== 'number' || typeof level !== 'number')
    throw new KmsError('BAD_ENCODING', 'a damaged entry');
  return {
    handle,
    keyId: fixed(value.keyId, 32),
    digest: fixed(value.digest, 32),
    kind,
    level,
    bound: quantity(value.bound),
    provenance: fixed(value.provenance, 32),
  };
}
