import { type Digest, digest, type PartyId } from '../ids.ts';
import type { Hashes } from '../primitives.ts';
import { fromHex, toHex, utf8 } from '../wire/bytes.ts';
import type { Membership } from './machine.ts';

/** A field of a hashed tuple: bytes, a hex id or digest (as bytes), or a non-negative integer below 2^53. */
export type Field = Uint8Array | string | number;

/**
 * SHA-256 of an unambiguous encoding of (domain, fields): every part is preceded by its type and 64-bit length, so two
 * different tuples never hash the same input. Strings are hashed as UTF-8.
 */
export function tupleHash(hashes: Hashes, domain: string, ...fields: readonly Field[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const field of [`kms/v1/${domain}`, ...fields]) {
    const [type, raw] =
      typeof field === 'string'
        ? [1, wellFormed(field)]
        : typeof field === 'number'
          ? [2, integer(field)]
          : [3, field];
    const header = new Uint8Array(9);
    header[0] = type;
    header.set(integer(raw.length), 1);
    parts.push(header, raw);
  }
  return hashes.sha256(...parts);
}

/** Half a surrogate pair would be hashed as U+FFFD: two strings, one hash. */
function wellFormed(text: string): Uint8Array {
  if (!text.isWellFormed()) throw new RangeError('hashed text is well-formed UTF-16');
  return utf8(text);
}

export function tupleDigest(hashes: Hashes, domain: string, ...fields: readonly Field[]): Digest {
  return digest(toHex(tupleHash(hashes, domain, ...fields)));
}

function integer(value: number): Uint8Array {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is not a hashable integer`);
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}

/** Signature by this party's identity key over a hashed tuple. */
export function signStatement(by: Membership, domain: string, ...fields: readonly Field[]): Uint8Array {
  return by.signer.sign(tupleHash(by.primitives, domain, ...fields));
}

/** True iff `party` of this membership signed exactly this tuple. */
export function isSigned(
  among: Pick<Membership, 'identities' | 'primitives'>,
  party: PartyId,
  signature: Uint8Array,
  domain: string,
  ...fields: readonly Field[]
): boolean {
  const identity = among.identities.get(party);
  if (identity === undefined) return false;
  return among.primitives.verify(identity, tupleHash(among.primitives, domain, ...fields), signature);
}

export function digestOf(hashes: Hashes, bytes: Uint8Array): Digest {
  return digest(toHex(hashes.sha256(bytes)));
}

export const NO_DIGEST: Digest = digest('0'.repeat(64));

export function digestBytes(value: Digest): Uint8Array {
  return fromHex(value);
}
