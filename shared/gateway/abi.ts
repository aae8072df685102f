import { KmsError } from '../errors.ts';
import { concat } from '../wire/bytes.ts';
import { word } from './word.ts';

/**
 * As much of Solidity's ABI as the gateway's commitments need: a struct of words, arrays of words and byte strings, as
 * `abi.encode(struct)` gives it.
 */
export type AbiField = Uint8Array | readonly Uint8Array[] | { readonly bytes: Uint8Array };

/**
 * `abi.encode` of one struct. A word is 32 bytes; an array of words is `T[]`; `{bytes}` is `bytes` or `string`. With a
 * dynamic field the encoding begins with an offset, as Solidity's does.
 * @throws {KmsError} BAD_INPUT for a word of another size: bytes never move from one field into the next
 */
export function encodeStruct(fields: readonly AbiField[]): Uint8Array {
  const body = encodeTuple(fields);
  return fields.every(isStatic) ? body : concat(word(32n), body);
}

/** `abi.encode` of several values: no offset before them. */
export function encodeTuple(fields: readonly AbiField[]): Uint8Array {
  const heads: Uint8Array[] = [];
  const tails: Uint8Array[] = [];
  let offset = 32 * fields.length;
  for (const field of fields) {
    if (isStatic(field)) {
      heads.push(wholeWord(field));
      continue;
    }
    const tail = 'bytes' in field ? encodeBytes(field.bytes) : encodeArray(field);
    heads.push(word(BigInt(offset)));
    tails.push(tail);
    offset += tail.length;
  }
  return concat(...heads, ...tails);
}

/** An address as a word. @param address 20 bytes @throws {KmsError} BAD_INPUT */
export function addressWord(address: Uint8Array): Uint8Array {
  if (address.length !== 20) throw new KmsError('BAD_INPUT', 'an address has 20 bytes');
  return concat(new Uint8Array(12), address);
}

function isStatic(field: AbiField): field is Uint8Array {
  return field instanceof Uint8Array;
}

function encodeArray(items: readonly Uint8Array[]): Uint8Array {
  return concat(word(BigInt(items.length)), ...items.map(wholeWord));
}

function wholeWord(field: Uint8Array): Uint8Array {
  if (field.length !== 32) throw new KmsError('BAD_INPUT', 'a word has 32 bytes');
  return field;
}

function encodeBytes(bytes: Uint8Array): Uint8Array {
  const padding = new Uint8Array((32 - (bytes.length % 32)) % 32);
  return concat(word(BigInt(bytes.length)), bytes, padding);
}
