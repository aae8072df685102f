import { KmsError } from '../../errors.ts';
import type { ValueKind } from '../../fhe/envelope.ts';
import { checkDecryptable, type NoiseBound } from '../../fhe/noise.ts';
import { type Digest, digest } from '../../ids.ts';
import { equalBytes, toHex } from '../../wire/bytes.ts';
import { type CommittedCiphertext, ciphertextCommitment } from '../commitments.ts';
import { type Derivation, handleOf, operations, readHandle } from '../handle.ts';
import { ciphertextSlot, factsSlot, readFacts } from '../slots.ts';
import type { DecryptingKey } from './key.ts';
import { type GatewayState, type HostState, requireCommitment } from './network.ts';

/** What is said of a handle, untrusted: what the coprocessors committed, and how its own chain derived it. */
export interface ClaimedCiphertext {
  readonly ciphertext: CommittedCiphertext;
  /** From the Computed event of the chain that the handle names. */
  readonly derivation: Derivation;
}

/** The one ciphertext that a handle stands for: an envelope with another digest, kind, level or bound is not to be opened. */
export interface PermittedCiphertext {
  readonly handle: Uint8Array;
  /** SHA-256 of the envelope. */
  readonly digest: Digest;
  readonly kind: ValueKind;
  readonly bound: NoiseBound;
}

/**
 * Level, kind and bound are the host chain's word (Compute.facts), the key is that of the derivation, which the handle names, and so
 * is the envelope of an input; only which envelope a computed handle has is the coprocessors' word.
 * @throws {KmsError} NOT_PROVEN, WRONG_KEY, TOO_NOISY, WRONG_LEVEL
 */
export function permitCiphertext(
  gateway: GatewayState,
  host: HostState,
  { keyId, preset }: DecryptingKey,
  handle: Uint8Array,
  { ciphertext, derivation }: ClaimedCiphertext,
): PermittedCiphertext {
  if (!equalBytes(ciphertext.handle, handle) || !equalBytes(handleOf(derivation), handle)) {
    throw new KmsError('NOT_PROVEN', 'what is said of a ciphertext is of another handle');
  }
  const committed = gateway.ciphertexts(ciphertextSlot(handle));
  requireCommitment(committed, ciphertextCommitment(ciphertext), 'this ciphertext');
  if (toHex(ciphertext.keyId) !== keyId || toHex(derivation.keyId) !== keyId) {
    throw new KmsError('WRONG_KEY', 'a handle is of another key than the request');
  }
  const isInput = derivation.operation === operations.input;
  if (isInput && !equalBytes(derivation.argument, ciphertext.digest)) {
    throw new KmsError('NOT_PROVEN', 'the coprocessors committed another envelope than the one brought in');
  }
  const { bound, level } = ciphertext;
  const word = host.compute(factsSlot(handle));
  if (word === 0n) throw new KmsError('NOT_PROVEN', 'its host chain has no such handle');
  const facts = readFacts(word);
  if (facts.bound !== bound || facts.level !== level || facts.kind !== ciphertext.kind) {
    throw new KmsError('NOT_PROVEN', 'the coprocessors committed other facts than the host chain has');
  }
  checkDecryptable(preset, { bound, level });
  const { kind } = readHandle(handle);
  return { handle, digest: digest(toHex(ciphertext.digest)), kind, bound: { bound, level } };
}
