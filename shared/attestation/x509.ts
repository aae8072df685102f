import { toHex } from '../wire/bytes.ts';
import {
  badDer,
  DerReader,
  namedBitsOf,
  octetsOfBitString,
  readDer,
  Tag,
  takeFlag,
  timeOf,
  unsignedOf,
} from './der.ts';

/**
 * What chain validation needs of a certificate (RFC 5280) of the one family that security modules use: version 3, ECDSA with
 * SHA-384 over P-384. Anything else is refused while reading.
 */
export interface Certificate {
  /** The signed part, as it was signed. */
  readonly signed: Uint8Array;
  /** r and s, 48 bytes each, big endian. */
  readonly signature: Uint8Array;
  /** DER of the names, compared byte by byte. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly notBeforeMs: number;
  /** The certificate is valid in its last second too. */
  readonly notAfterMs: number;
  /** Uncompressed point, 97 bytes. */
  readonly publicKey: Uint8Array;
  readonly isCa: boolean;
  /** How many issuers may stand below this one; undefined for any number. */
  readonly pathLength: number | undefined;
  /** What the key may sign; nothing without a key usage extension. */
  readonly maySignCertificates: boolean;
  readonly maySignData: boolean;
}

/** DER of the algorithm identifiers, whole. */
const ECDSA_WITH_SHA384 = '300a06082a8648ce3d040303';
const EC_P384 = '301006072a8648ce3d020106052b81040022';

const BASIC_CONSTRAINTS = '551d13';
const KEY_USAGE = '551d0f';

const POINT_BYTES = 97;
const SCALAR_BYTES = 48;

/** Not verified at this point. @throws {KmsError} BAD_ENCODING */
export function parseUnverifiedCertificate(der: Uint8Array): Certificate {
  const outer = readDer(der, Tag.sequence);
  const signed = outer.take(Tag.sequence);
  requireAlgorithm(outer, ECDSA_WITH_SHA384, 'signature');
  const signature = signatureOf(octetsOfBitString(outer.take(Tag.bitString).contents));
  outer.end();

  const fields = new DerReader(signed.contents);
  if (toHex(fields.take(Tag.context(0)).contents) !== '020102') throw badDer('it is not of version 3');
  unsignedOf(fields.take(Tag.integer).contents);
  requireAlgorithm(fields, ECDSA_WITH_SHA384, 'signature');
  const issuer = fields.take(Tag.sequence).whole;
  const validity = fields.enter(Tag.sequence);
  const notBeforeMs = takeTime(validity);
  const notAfterMs = takeTime(validity) + 999;
  validity.end();
  const subject = fields.take(Tag.sequence).whole;
  const publicKey = publicKeyOf(fields.enter(Tag.sequence));
  const extensions = extensionsOf(fields.enter(Tag.context(3)).enter(Tag.sequence));
  fields.end();
  return {
    ...{ signed: signed.whole, signature, issuer, subject, notBeforeMs, notAfterMs, publicKey },
    ...extensions,
  };
}

function requireAlgorithm(from: DerReader, expected: string, what: string): void {
  if (toHex(from.take(Tag.sequence).whole) !== expected)
    throw badDer(`its ${what} algorithm is not ECDSA on P-384`);
}

function takeTime(from: DerReader): number {
  return timeOf(from.take(from.nextTag === Tag.utcTime ? Tag.utcTime : Tag.generalizedTime));
}

function publicKeyOf(from: DerReader): Uint8Array {
  requireAlgorithm(from, EC_P384, 'key');
  const point = octetsOfBitString(from.take(Tag.bitString).contents);
  from.end();
  if (point.length !== POINT_BYTES || point[0] !== 4)
    throw badDer('its key is no uncompressed point on P-384');
  return point;
}

/** ECDSA-Sig-Value (RFC 3279 section 2.2.3) as fixed-size r and s. */
function signatureOf(der: Uint8Array): Uint8Array {
  const integers = readDer(der, Tag.sequence);
  const signature = new Uint8Array(2 * SCALAR_BYTES);
  for (const end of [SCALAR_BYTES, 2 * SCALAR_BYTES]) {
    const scalar = unsignedOf(integers.take(Tag.integer).contents);
    if (scalar.length > SCALAR_BYTES) throw badDer('its signature is too long');
    signature.set(scalar, end - scalar.length);
  }
  integers.end();
  return signature;
}

type Extensions = Pick<Certificate, 'isCa' | 'pathLength' | 'maySignCertificates' | 'maySignData'>;

/** Unknown extensions are skipped unless critical; none may occur twice (RFC 5280 section 4.2). */
function extensionsOf(from: DerReader): Extensions {
  const found = new Map<string, { readonly isCritical: boolean; readonly value: Uint8Array }>();
  while (!from.isAtEnd) {
    const extension = from.enter(Tag.sequence);
    const oid = toHex(extension.take(Tag.oid).contents);
    const isCritical = takeFlag(extension);
    const value = extension.take(Tag.octetString).contents;
    extension.end();
    if (found.has(oid)) throw badDer('an extension occurs twice');
    if (isCritical && oid !== BASIC_CONSTRAINTS && oid !== KEY_USAGE)
      throw badDer('an unknown critical extension');
    found.set(oid, { isCritical, value });
  }
  return { ...constraintsOf(found.get(BASIC_CONSTRAINTS)?.value), ...usageOf(found.get(KEY_USAGE)?.value) };
}

function constraintsOf(value: Uint8Array | undefined): Pick<Extensions, 'isCa' | 'pathLength'> {
  if (value === undefined) return { isCa: false, pathLength: undefined };
  const fields = readDer(value, Tag.sequence);
  const isCa = takeFlag(fields);
  if (fields.isAtEnd) return { isCa, pathLength: undefined };
  const [pathLength, ...more] = unsignedOf(fields.take(Tag.integer).contents);
  fields.end();
  if (!isCa || pathLength === undefined || more.length > 0) throw badDer('its path length has no meaning');
  return { isCa, pathLength };
}

function usageOf(value: Uint8Array | undefined): Pick<Extensions, 'maySignCertificates' | 'maySignData'> {
  if (value === undefined) return { maySignCertificates: false, maySignData: false };
  const outer = new DerReader(value);
  const has = namedBitsOf(outer.take(Tag.bitString).contents);
  outer.end();
  return { maySignData: has(0), maySignCertificates: has(5) };
}
