import { join } from 'node:path';
import { KmsError } from '../../shared/errors.ts';
import { MAX_ENVELOPE_BYTES } from '../../shared/fhe/envelope.ts';
import { noble } from '../../shared/noble.ts';
import { toHex } from '../../shared/wire/bytes.ts';
import type { Hex } from '../adapter/chain-data.ts';
import { readLimited, writeDurably } from '../adapter/durable-file.ts';

/** Envelopes by their handles, where nodes and coprocessors find them. Untrusted: whoever reads checks the digest. */
export interface EnvelopeStore {
  /** Durable when the promise resolves. @throws {KmsError} STORE_FAILED, UNAVAILABLE */
  put(handle: Hex, envelope: Uint8Array): Promise<void>;
  /** @returns undefined if there is none @throws {KmsError} TOO_LARGE, STORE_FAILED, UNAVAILABLE */
  get(handle: Hex): Promise<Uint8Array | undefined>;
}

/**
 * The envelope that a digest names.
 * @returns undefined if the store has none
 * @throws {KmsError} BAD_ENCODING if it holds other bytes; what the store throws
 */
export async function readEnvelope(
  store: EnvelopeStore,
  handle: Hex,
  digest: Hex,
): Promise<Uint8Array | undefined> {
  const envelope = await store.get(handle);
  if (envelope !== undefined && digestOf(envelope) !== digest) {
    throw new KmsError(
      'BAD_ENCODING',
      'the store holds another envelope under this handle than its digest names',
    );
  }
  return envelope;
}

/** SHA-256 of an envelope's bytes. */
export function digestOf(envelope: Uint8Array): Hex {
  return `0x${toHex(noble.sha256(envelope))}`;
}

/** Name of an envelope's object or file. */
export function objectName(handle: Hex): string {
  return handle.slice(2);
}

/** A directory. */
export class FileEnvelopes implements EnvelopeStore {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  put(handle: Hex, envelope: Uint8Array): Promise<void> {
    return writeDurably(join(this.#directory, objectName(handle)), envelope);
  }

  get(handle: Hex): Promise<Uint8Array | undefined> {
    return readLimited(join(this.#directory, objectName(handle)), MAX_ENVELOPE_BYTES);
  }
}
