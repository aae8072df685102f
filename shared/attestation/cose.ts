import { KmsError } from '../errors.ts';
import { equalBytes } from '../wire/bytes.ts';
import { readCbor } from './cbor.ts';
import { writeCbor } from './cbor-writer.ts';

/** COSE_Sign1 (RFC 9052 section 4.2) as the security module writes it: untagged, ES384, nothing unprotected. */
export interface CoseSign1 {
  readonly payload: Uint8Array;
  /** r and s, 48 bytes each, big endian. */
  readonly signature: Uint8Array;
}

export const SIGNATURE_BYTES = 96;

/** The map {1: -35}: algorithm ES384 (RFC 9053 section 2.1), and no other header. */
const PROTECTED = writeCbor(new Map([[1, -35]]));

/** Not verified at this point. @throws {KmsError} BAD_ENCODING */
export function parseUnverifiedSign1(bytes: Uint8Array): CoseSign1 {
  const value = readCbor(bytes);
  if (!Array.isArray(value) || value.length !== 4) throw bad('it is no array of four');
  const [header, unprotected, payload, signature]: readonly unknown[] = value;
  if (!(header instanceof Uint8Array) || !equalBytes(header, PROTECTED)) {
    throw bad('its protected header is not that of ES384');
  }
  if (!(unprotected instanceof Map) || unprotected.size !== 0) throw bad('it has unprotected headers');
  if (!(payload instanceof Uint8Array)) throw bad('it has no payload');
  if (!(signature instanceof Uint8Array) || signature.length !== SIGNATURE_BYTES) {
    throw bad(`its signature is not ${SIGNATURE_BYTES} bytes`);
  }
  return { payload, signature };
}

/** What ES384 signs: Sig_structure (RFC 9052 section 4.4) without external data. */
export function signedBytes(payload: Uint8Array): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(writeCbor(['Signature1', PROTECTED, new Uint8Array(0), payload]));
}

export function writeSign1({ payload, signature }: CoseSign1): Uint8Array {
  return writeCbor([PROTECTED, new Map(), payload, signature]);
}

function bad(what: string): KmsError {
  return new KmsError('BAD_ENCODING', `not a document of the security module: ${what}`);
}
