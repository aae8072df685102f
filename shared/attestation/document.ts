import { KmsError } from '../errors.ts';
import { PCR_BYTES } from '../network/measurement.ts';
import { type CborKey, type CborMap, type CborValue, readCbor } from './cbor.ts';
import { parseUnverifiedSign1 } from './cose.ts';

/**
 * The claims of an attestation document: what the security module says about its enclave. A value of this type says
 * nothing about who made it; only verifyDocument() does.
 * @see AWS Nitro Enclaves NSM API, "Attestation process", section 3.1
 */
export interface AttestationDocument {
  readonly moduleId: string;
  /** Unix time of the security module. */
  readonly timestampMs: number;
  /** The locked registers by index 0..31; 48 bytes each. */
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
  /** DER of the certificate whose key signed the document. */
  readonly certificate: Uint8Array;
  /** DER of its issuers, the root first. */
  readonly caBundle: readonly Uint8Array[];
  /** What the enclave asked to be bound; undefined if it asked for nothing. */
  readonly publicKey: Uint8Array | undefined;
  readonly userData: Uint8Array | undefined;
  readonly nonce: Uint8Array | undefined;
}

/** What the device can answer with. */
export const MAX_DOCUMENT_BYTES = 0x3000;
export const PCR_COUNT = 32;
export const LIMITS = { publicKey: 1024, userData: 512, nonce: 512, certificate: 1024, issuers: 8 } as const;

const FIELDS = new Set<CborKey>([
  ...['module_id', 'digest', 'timestamp', 'pcrs', 'certificate', 'cabundle'],
  ...['public_key', 'user_data', 'nonce'],
]);

/**
 * The claims of a document, NOT VERIFIED: whoever made the bytes chose them.
 * @throws {KmsError} TOO_LARGE, BAD_ENCODING
 */
export function parseUnverifiedDocument(bytes: Uint8Array): AttestationDocument {
  checkDocumentSize(bytes);
  return parseUnverifiedPayload(parseUnverifiedSign1(bytes).payload);
}

/** @throws {KmsError} TOO_LARGE */
export function checkDocumentSize(bytes: Uint8Array): void {
  if (bytes.length > MAX_DOCUMENT_BYTES) {
    throw new KmsError('TOO_LARGE', `an attestation document has at most ${MAX_DOCUMENT_BYTES} bytes`);
  }
}

/** The signed part alone, NOT VERIFIED. @throws {KmsError} BAD_ENCODING */
export function parseUnverifiedPayload(payload: Uint8Array): AttestationDocument {
  const fields = readCbor(payload);
  if (!isMap(fields)) throw bad('the payload is no map');
  for (const name of fields.keys()) if (!FIELDS.has(name)) throw bad(`unknown field ${name}`);
  if (fields.get('digest') !== 'SHA384') throw bad('the digest is not SHA384');
  return {
    moduleId: textOf(fields.get('module_id')),
    timestampMs: timeOf(fields.get('timestamp')),
    pcrs: pcrsOf(fields.get('pcrs')),
    certificate: certificateOf(fields.get('certificate')),
    caBundle: bundleOf(fields.get('cabundle')),
    publicKey: optionalBytes(fields.get('public_key'), 'public_key', LIMITS.publicKey),
    userData: optionalBytes(fields.get('user_data'), 'user_data', LIMITS.userData),
    nonce: optionalBytes(fields.get('nonce'), 'nonce', LIMITS.nonce),
  };
}

function textOf(value: CborValue | undefined): string {
  if (typeof value !== 'string' || value === '') throw bad('module_id is no text');
  return value;
}

function timeOf(value: CborValue | undefined): number {
  if (typeof value !== 'number' || value <= 0) throw bad('timestamp is no time');
  return value;
}

function pcrsOf(value: CborValue | undefined): ReadonlyMap<number, Uint8Array> {
  if (value === undefined || !isMap(value) || value.size === 0) throw bad('pcrs is no map of registers');
  const pcrs = new Map<number, Uint8Array>();
  for (const [index, register] of value) {
    if (typeof index !== 'number' || index < 0 || index >= PCR_COUNT)
      throw bad(`register ${index} does not exist`);
    if (!(register instanceof Uint8Array) || register.length !== PCR_BYTES) {
      throw bad(`register ${index} is not ${PCR_BYTES} bytes`);
    }
    pcrs.set(index, register);
  }
  return pcrs;
}

function certificateOf(value: CborValue | undefined): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length === 0 || value.length > LIMITS.certificate) {
    throw bad(`a certificate is 1..${LIMITS.certificate} bytes`);
  }
  return value;
}

function bundleOf(value: CborValue | undefined): readonly Uint8Array[] {
  if (!isList(value) || value.length === 0 || value.length > LIMITS.issuers) {
    throw bad(`cabundle is 1..${LIMITS.issuers} certificates`);
  }
  return value.map(certificateOf);
}

/** Absent and null mean the same: the enclave gave nothing. */
function optionalBytes(value: CborValue | undefined, name: string, maxBytes: number): Uint8Array | undefined {
  if (value === undefined || value === null) return undefined;
  if (!(value instanceof Uint8Array) || value.length > maxBytes) {
    throw bad(`${name} is not at most ${maxBytes} bytes`);
  }
  return value;
}

function isMap(value: CborValue): value is CborMap {
  return value instanceof Map;
}

function isList(value: CborValue | undefined): value is readonly CborValue[] {
  return Array.isArray(value);
}

function bad(what: string): KmsError {
  return new KmsError('BAD_ENCODING', `attestation document: ${what}`);
}
