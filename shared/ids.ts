import { KmsError } from './errors.ts';

declare const brand: unique symbol;
type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** A party's Shamir x-coordinate: an integer 1..n, never 0. */
export type PartyId = Brand<number, 'PartyId'>;
/** 32-byte key id as 64 lower-case hex digits. */
export type KeyId = Brand<string, 'KeyId'>;
/** Epoch of a committee, counted from 0. */
export type EpochId = Brand<number, 'EpochId'>;
/** SHA-256 digest as 64 lower-case hex digits. */
export type Digest = Brand<string, 'Digest'>;

export const MAX_PARTIES = 64;

/** @throws {KmsError} BAD_INPUT unless value is an integer in 1..n */
export function partyId(value: number, n: number = MAX_PARTIES): PartyId {
  if (!Number.isInteger(value) || value < 1 || value > n) {
    throw new KmsError('BAD_INPUT', `party id ${value} is not in 1..${n}`);
  }
  return value as PartyId;
}

/** @throws {KmsError} BAD_INPUT unless value is 64 lower-case hex digits */
export function keyId(value: string): KeyId {
  if (!isHex32(value)) throw new KmsError('BAD_INPUT', 'a key id is 64 lower-case hex digits');
  return value as KeyId;
}

/** @throws {KmsError} BAD_INPUT unless value is 64 lower-case hex digits */
export function digest(value: string): Digest {
  if (!isHex32(value)) throw new KmsError('BAD_INPUT', 'a digest is 64 lower-case hex digits');
  return value as Digest;
}

/** @throws {KmsError} BAD_INPUT unless value is an integer in 0..2^32-1 */
export function epochId(value: number): EpochId {
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
    throw new KmsError('BAD_INPUT', `epoch ${value} is not an unsigned 32-bit integer`);
  }
  return value as EpochId;
}

function isHex32(value: string): boolean {
  return /^[0-9a-f]{64}$/.test(value);
}
