import { KmsError } from '../../errors.ts';
import { equalBytes } from '../../wire/bytes.ts';
import { type AbiField, encodeStruct } from '../abi.ts';
import { numberOf } from '../word.ts';

/** Commands.sol's kinds. */
export const commandKinds = {
  keyGeneration: 1,
  crsGeneration: 2,
  switchingKey: 3,
  epochChange: 4,
  lifecycle: 5,
  backup: 6,
  recovery: 7,
} as const;

/** What a command's payload says; byte strings of 32. */
export type CommandPayload =
  | { readonly kind: 'keyGeneration'; readonly preset: number; readonly galois: number }
  | { readonly kind: 'crsGeneration'; readonly size: number }
  | { readonly kind: 'switchingKey'; readonly fromKey: Uint8Array; readonly toKey: Uint8Array }
  | { readonly kind: 'epochChange'; readonly toEpoch: bigint; readonly keys: readonly Uint8Array[] }
  | { readonly kind: 'lifecycle'; readonly keyId: Uint8Array; readonly toState: number }
  | { readonly kind: 'backup'; readonly keyId: Uint8Array; readonly custodians: Uint8Array }
  | {
      readonly kind: 'recovery';
      readonly party: number;
      readonly oldIdentity: Uint8Array;
      readonly newIdentity: Uint8Array;
      readonly custodians: Uint8Array;
      readonly keys: readonly Uint8Array[];
    };

const WORD = 32;
export const MAX_COMMAND_KEYS = 256;

/**
 * Strict: Solidity reads more encodings of one value, nodes read the one that `abi.encode` gives.
 * @throws {KmsError} BAD_ENCODING, TOO_LARGE
 */
export function decodePayload(kind: number, payload: Uint8Array): CommandPayload {
  if (payload.length > WORD * (MAX_COMMAND_KEYS + 16)) {
    throw new KmsError('TOO_LARGE', `a command names at most ${MAX_COMMAND_KEYS} keys`);
  }
  if (kind === commandKinds.epochChange || kind === commandKinds.recovery)
    return dynamicPayload(kind, payload);
  const count = kind === commandKinds.crsGeneration ? 1 : 2;
  if (payload.length !== count * WORD) throw bad('it has another size');
  const words = wordsOf(payload);
  const [a, b] = [words[0]!, words[count - 1]!];
  switch (kind) {
    case commandKinds.keyGeneration:
      return { kind: 'keyGeneration', preset: small(a, 8), galois: small(b, 8) };
    case commandKinds.crsGeneration:
      return { kind: 'crsGeneration', size: small(a, 32) };
    case commandKinds.switchingKey:
      return { kind: 'switchingKey', fromKey: a, toKey: b };
    case commandKinds.lifecycle:
      return { kind: 'lifecycle', keyId: a, toState: small(b, 8) };
    case commandKinds.backup:
      return { kind: 'backup', keyId: a, custodians: b };
    default:
      throw bad(`there is no command of kind ${kind}`);
  }
}

/** Structs that end with an array of keys: an offset, the fields, the array's offset, its length, its items. */
function dynamicPayload(kind: number, payload: Uint8Array): CommandPayload {
  const isEpoch = kind === commandKinds.epochChange;
  const fixed = isEpoch ? 1 : 4;
  const words = wordsOf(payload);
  const fields = words.slice(1, 1 + fixed);
  const keys = words.slice(3 + fixed);
  const canonical: readonly AbiField[] = [...fields, keys];
  if (!equalBytes(encodeStruct(canonical), payload)) throw bad('its array is not where abi.encode puts it');
  const first = fields[0]!;
  if (isEpoch) return { kind: 'epochChange', toEpoch: bits(first, 64), keys };
  const [oldIdentity, newIdentity, custodians] = [fields[1]!, fields[2]!, fields[3]!];
  return { kind: 'recovery', party: small(first, 8), oldIdentity, newIdentity, custodians, keys };
}

/** Its whole words. */
function wordsOf(payload: Uint8Array): readonly Uint8Array[] {
  const count = Math.floor(payload.length / WORD);
  return Array.from({ length: count }, (_, i) => payload.slice(WORD * i, WORD * (i + 1)));
}

function small(word: Uint8Array, size: 8 | 32): number {
  return Number(bits(word, size));
}

function bits(word: Uint8Array, size: number): bigint {
  const value = numberOf(word);
  if (value >> BigInt(size) !== 0n) throw bad(`a field has ${size} bits`);
  return value;
}

function bad(what: string): KmsError {
  return new KmsError('BAD_ENCODING', `this is no payload of a command: ${what}`);
}
