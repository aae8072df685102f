import { X509Certificate } from 'node:crypto';
import { writeCbor } from '../../shared/attestation/cbor-writer.ts';
import { type CoseSign1, parseUnverifiedSign1 } from '../../shared/attestation/cose.ts';
import { KmsError } from '../../shared/errors.ts';
import { equalBytes } from '../../shared/wire/bytes.ts';

/** An image's signature: a list of one element, for PCR0. */
export interface SignatureSection {
  /** PEM, one certificate. */
  readonly certificate: Uint8Array;
  /** COSE_Sign1 over pcrStatement(). */
  readonly sign1: Uint8Array;
}

const CERTIFICATE = 'signing_certificate';
const SIGN1 = 'signature';
const MAX_FIELD_BYTES = 16 << 10;

const PEM = /^-----BEGIN CERTIFICATE-----\n(?:[A-Za-z0-9+/]{1,64}={0,2}\n)+-----END CERTIFICATE-----\n?$/;

/** CBOR of AWS's format: byte fields are lists of integers. @throws {KmsError} BAD_ENCODING */
export function writeSignatureSection({ certificate, sign1 }: SignatureSection): Uint8Array {
  const bytes = writeCbor([
    new Map([
      [CERTIFICATE, [...certificate]],
      [SIGN1, [...sign1]],
    ]),
  ]);
  readSignatureSection(bytes);
  return bytes;
}

/** Not verified at this point. @throws {KmsError} BAD_ENCODING */
export function readSignatureSection(bytes: Uint8Array): SignatureSection {
  const reader = new FieldReader(bytes);
  reader.expect(Uint8Array.of(0x81, 0xa2));
  reader.expect(writeCbor(CERTIFICATE));
  const certificate = reader.byteList();
  reader.expect(writeCbor(SIGN1));
  const sign1 = reader.byteList();
  reader.end();
  parseCertificate(certificate);
  parseSign1(sign1);
  return { certificate, sign1 };
}

/** Not verified at this point. @throws {KmsError} BAD_ENCODING */
export function parseSign1(sign1: Uint8Array): CoseSign1 {
  try {
    return parseUnverifiedSign1(sign1);
  } catch (cause) {
    throw new KmsError('BAD_ENCODING', "the image's signature is no COSE_Sign1 of ES384", { cause });
  }
}

/** @throws {KmsError} BAD_ENCODING unless it is PEM of one certificate and nothing else */
export function parseCertificate(pem: Uint8Array): X509Certificate {
  const text = new TextDecoder('latin1').decode(pem);
  if (!PEM.test(text)) throw bad('its certificate is not PEM of one certificate alone');
  // Bits that decoding drops would make two files with the same registers.
  const body = text.replaceAll(/-----[A-Z ]+-----|\n/g, '');
  if (Buffer.from(body, 'base64').toString('base64') !== body)
    throw bad('its certificate is not canonical base64');
  try {
    const certificate = new X509Certificate(text);
    // The key is decoded when it is first asked for.
    if (certificate.publicKey.type === 'public') return certificate;
    throw bad('its certificate has no key');
  } catch (cause) {
    throw new KmsError('BAD_ENCODING', "the image's signing certificate cannot be parsed", { cause });
  }
}

function bad(what: string): KmsError {
  return new KmsError('BAD_ENCODING', `the image's signature section is malformed: ${what}`);
}

/** Just enough CBOR for the section, which is longer than what the common reader allows for. */
class FieldReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  expect(expected: Uint8Array): void {
    if (!equalBytes(this.#take(expected.length), expected)) throw bad('a field of another name or type');
  }

  /** A list of integers 0..255, heads in their shortest form. */
  byteList(): Uint8Array {
    const count = this.#head(4);
    if (count > MAX_FIELD_BYTES) throw bad(`a field of more than ${MAX_FIELD_BYTES} bytes`);
    return Uint8Array.from({ length: count }, () => {
      const value = this.#head(0);
      if (value > 255) throw bad('a byte above 255');
      return value;
    });
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw bad('trailing bytes');
  }

  #head(major: number): number {
    const first = this.#take(1)[0] ?? 0;
    const info = first & 31;
    if (first >> 5 !== major || info > 25) throw bad('an item of another type');
    if (info < 24) return info;
    const value = this.#take(info === 24 ? 1 : 2).reduce((sum, byte) => sum * 256 + byte, 0);
    if (value < (info === 24 ? 24 : 256)) throw bad('an integer that is not in its shortest form');
    return value;
  }

  #take(sizeBytes: number): Uint8Array {
    if (sizeBytes > this.#bytes.length - this.#at) throw bad('truncated');
    this.#at += sizeBytes;
    return this.#bytes.subarray(this.#at - sizeBytes, this.#at);
  }
}
