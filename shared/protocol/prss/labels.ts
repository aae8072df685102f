import type { Digest, EpochId, KeyId } from '../../ids.ts';
import type { Hashes } from '../../primitives.ts';
import { fromHex } from '../../wire/bytes.ts';
import { type Field, tupleHash } from '../statement.ts';

/**
 * Which mask a PRSS value is, and everything public that it is combined with (protocols.md section 2, "labels bind
 * operands"). The same mask under two operands cancels and reveals r_T, so every operand is a field here.
 */
export type Mask =
  | SecretMask
  | RelinearisationSecretMask
  | PublicKeyErrorMask
  | RelinearisationErrorMask
  | RelinearisationFinalErrorMask
  | GaloisErrorMask
  | FloodMask;

/** Whose mask it is: every label starts with these. */
export interface MaskOwner {
  readonly key: KeyId;
  readonly epoch: EpochId;
}

/** Operands common to a key generation: the certified transcript fixes a, the preset its ring. */
export interface GenerationOperands {
  readonly transcript: Digest;
  readonly preset: string;
}

/** s: uniform ternary per seed. */
export interface SecretMask extends GenerationOperands {
  readonly role: 's';
}

/** u of relinearisation digit `digit`: uniform ternary per seed. */
export interface RelinearisationSecretMask extends GenerationOperands {
  readonly role: 'u';
  readonly digit: number;
}

/** e in b = -(a s + e). */
export interface PublicKeyErrorMask extends GenerationOperands {
  readonly role: 'e';
}

/** e0 and e1 of relinearisation round 1. */
export interface RelinearisationErrorMask extends GenerationOperands {
  readonly role: 'e0' | 'e1';
  readonly digit: number;
}

/** e2 of relinearisation round 2, combined with the opened h0 and h1. */
export interface RelinearisationFinalErrorMask extends GenerationOperands {
  readonly role: 'e2';
  readonly digit: number;
  readonly h0: Digest;
  readonly h1: Digest;
}

/** e in b = -(a s + e) + w_j sigma_g(s); source and target key are the key itself. */
export interface GaloisErrorMask extends GenerationOperands {
  readonly role: 'galois-e';
  readonly digit: number;
  readonly element: number;
  readonly source: KeyId;
  readonly target: KeyId;
}

/** Flood of a partial decryption; the coefficient is the position in the stream. */
export interface FloodMask {
  readonly role: 'flood';
  readonly n: number;
  readonly t: number;
  /** Data primes left when decrypting. */
  readonly level: number;
  /** log2 of the flood bound B. */
  readonly floodBits: number;
  /** Version of the rule that switches the ciphertext down before c1 is used. */
  readonly switchVersion: number;
  /** Of exactly the ciphertext bytes being decrypted, before switching. */
  readonly ciphertext: Digest;
}

/** Parameters of a mask's distribution, part of its label. */
const distributions: Record<Mask['role'], string> = {
  s: 'ternary',
  u: 'ternary',
  e: 'cbd21',
  e0: 'cbd21',
  e1: 'cbd21',
  e2: 'cbd21',
  'galois-e': 'cbd21',
  flood: 'uniform',
};

/** The one function that turns a mask and its operands into the 32-byte PRF input. */
export function maskLabel(hashes: Hashes, owner: MaskOwner, mask: Mask): Uint8Array {
  const fields: Field[] = [fromHex(owner.key), owner.epoch, mask.role, distributions[mask.role]];
  return tupleHash(hashes, 'prss/label', ...fields, ...operandsOf(mask));
}

function operandsOf(mask: Mask): Field[] {
  if (mask.role === 'flood') {
    return [mask.n, mask.t, mask.level, mask.floodBits, mask.switchVersion, fromHex(mask.ciphertext)];
  }
  const common: Field[] = [fromHex(mask.transcript), mask.preset];
  switch (mask.role) {
    case 's':
    case 'e':
      return common;
    case 'u':
    case 'e0':
    case 'e1':
      return [...common, mask.digit];
    case 'e2':
      return [...common, mask.digit, fromHex(mask.h0), fromHex(mask.h1)];
    case 'galois-e':
      return [...common, mask.digit, mask.element, fromHex(mask.source), fromHex(mask.target)];
  }
}
