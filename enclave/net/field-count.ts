import { KmsError } from '../../shared/errors.ts';

/** Protocol Buffers' wire types, where a value has a size of its own. */
const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;
const MAX_VARINT_BYTES = 10;

/**
 * Refuses a message with more fields at its top level than that, known or not: a field of two bytes becomes an object of a hundred.
 * Groups, which nobody here sends, are refused.
 * @param message not decoded yet
 * @throws {KmsError} TOO_LARGE, BAD_ENCODING
 */
export function requireFewFields(message: Uint8Array, max: number): void {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let i = 0; i < MAX_VARINT_BYTES; i++) {
      const byte = message[at];
      if (byte === undefined) break;
      at += 1;
      value += (byte & 127) * 2 ** (7 * i);
      if (byte < 128) return value;
    }
    throw bad();
  };
  for (let fields = 1; at < message.length; fields++) {
    if (fields > max) throw new KmsError('TOO_LARGE', `a message has at most ${max} fields`);
    const type = varint() % 8;
    if (type === VARINT) varint();
    else if (type === FIXED64) at += 8;
    else if (type === FIXED32) at += 4;
    else if (type === LENGTH_DELIMITED) {
      const sizeBytes = varint();
      at += sizeBytes;
    } else throw bad();
  }
  if (at !== message.length) throw bad();
}

function bad(): KmsError {
  return new KmsError('BAD_ENCODING', 'this is no message');
}
