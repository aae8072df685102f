import { join } from 'node:path';
import { sha256 } from '@noble/hashes/sha2.js';
import { type Hex, hexOf } from '../../gateway/adapter/chain-data.ts';
import { readLimited } from '../../gateway/adapter/durable-file.ts';
import { getLimited } from '../../gateway/adapter/http-get.ts';
import { KmsError } from '../../shared/errors.ts';
import { MAX_ENVELOPE_BYTES } from '../../shared/fhe/envelope.ts';
import type { CommittedCiphertext } from '../../shared/gateway/commitments.ts';
import { equalBytes } from '../../shared/wire/bytes.ts';

/** Where envelopes are kept under their handles. Checks nothing but their size. */
export interface EnvelopeSource {
  /** @param handle 32 bytes, lower-case hex with 0x @returns undefined if it has none @throws {KmsError} UNAVAILABLE, TIMEOUT, TOO_LARGE */
  find(handle: Hex, signal: AbortSignal): Promise<Uint8Array | undefined>;
}

/** `GET <url>/<handle>`, the handle as 64 lower-case hex digits: a coprocessor's store, or a bucket. */
export function httpEnvelopes(url: string): EnvelopeSource {
  const base = url.replace(/\/+$/, '');
  return {
    find: (handle, signal) => getLimited(`${base}/${handle.slice(2)}`, MAX_ENVELOPE_BYTES, signal),
  };
}

/** Files named by the handle's 64 lower-case hex digits. */
export function directoryEnvelopes(directory: string): EnvelopeSource {
  return {
    find: (handle) => readLimited(join(directory, handle.slice(2)), MAX_ENVELOPE_BYTES),
  };
}

/**
 * The envelope that the coprocessors committed, from the first source that has it: one that lies or is down stands in nobody's way.
 * The enclave checks the same digest.
 * @throws {KmsError} UNAVAILABLE if no source has it
 */
export async function findEnvelope(
  sources: readonly EnvelopeSource[],
  { handle, digest }: Pick<CommittedCiphertext, 'handle' | 'digest'>,
  signal: AbortSignal,
): Promise<Uint8Array> {
  let failure: unknown;
  for (const source of sources) {
    try {
      const found = await source.find(hexOf(handle), signal);
      if (found !== undefined && equalBytes(sha256(found), digest)) return found;
    } catch (error) {
      failure = error;
    }
  }
  throw new KmsError('UNAVAILABLE', 'no source has the envelope of a handle', { cause: failure });
}
