import type { Digest, EpochId, KeyId } from '../../ids.ts';
import type { Residues, Ring } from '../../math/ring.ts';
import type { Hashes } from '../../primitives.ts';
import { fromHex } from '../../wire/bytes.ts';
import { tupleHash } from '../statement.ts';

/** One opened ring element of a key generation. Digit j belongs to RNS prime j of the data primes. */
export type Element = FirstRoundElement | SecondRoundElement;

/** Opened under the transcript alone. */
export type FirstRoundElement =
  | { readonly kind: 'public-key' }
  | { readonly kind: 'relin-h0' | 'relin-h1'; readonly digit: number }
  | { readonly kind: 'galois'; readonly element: number; readonly digit: number };

/** Opened after n - t signatures on the opened h0 and h1. */
export interface SecondRoundElement {
  readonly kind: 'relin-b';
  readonly digit: number;
}

/** Unique name of an element within its key generation; share signatures bind it. */
export function elementName(element: Element): string {
  switch (element.kind) {
    case 'public-key':
      return 'public-key';
    case 'galois':
      return `galois/${element.element}/${element.digit}`;
    default:
      return `${element.kind}/${element.digit}`;
  }
}

/** Everything opened under the transcript alone: the public key, relinearisation round 1, Galois keys. */
export function firstRoundElements(
  digits: number,
  galoisElements: readonly number[],
): readonly FirstRoundElement[] {
  const each = Array.from({ length: digits }, (_, digit) => digit);
  return [
    { kind: 'public-key' },
    ...each.map((digit) => ({ kind: 'relin-h0', digit }) as const),
    ...each.map((digit) => ({ kind: 'relin-h1', digit }) as const),
    ...galoisElements.flatMap((element) =>
      each.map((digit) => ({ kind: 'galois', element, digit }) as const),
    ),
  ];
}

/** Round 2 of the relinearisation key, after n - t signatures on round 1. */
export function secondRoundElements(digits: number): readonly SecondRoundElement[] {
  return Array.from({ length: digits }, (_, digit) => ({ kind: 'relin-b', digit }));
}

/** What a public ring element a is derived from: no two results share one. */
export interface PublicElementOperands {
  readonly transcript: Digest;
  readonly key: KeyId;
  readonly epoch: EpochId;
  readonly preset: string;
  readonly result: 'public-key' | 'relinearisation' | 'galois';
  readonly digit: number;
  /** Galois element; 1 where there is none. */
  readonly element: number;
  readonly source: KeyId;
  readonly target: KeyId;
}

/** a = XOF(operands), uniform, in NTT form over all primes of the ring (protocols.md section 4). */
export function publicElement(hashes: Hashes, ring: Ring, of: PublicElementOperands): Residues {
  const seed = tupleHash(
    hashes,
    'keygen/a',
    fromHex(of.transcript),
    fromHex(of.key),
    of.epoch,
    of.preset,
    of.result,
    of.digit,
    of.element,
    fromHex(of.source),
    fromHex(of.target),
  );
  return ring.uniform(hashes.shake128(seed, 24 * ring.length));
}
