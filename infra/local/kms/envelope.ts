import {
  constants,
  createCipheriv,
  createHash,
  createPublicKey,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import { invalid } from './service-error.ts';

/**
 * `CiphertextForRecipient` in the shape of AWS KMS: BER, the outer elements of indefinite length, the rest definite. Written
 * apart from the enclave's reader, from RFC 5652 and from what AWS answers, so that each tests the other.
 */
const MIN_MODULUS_BITS = 2048;

const SEQUENCE = 0x30;
const SET = 0x31;
const OID = 0x06;
const OCTETS = 0x04;
const INTEGER = 0x02;
const CONTEXT_0 = 0xa0;
const CONTEXT_0_PRIMITIVE = 0x80;
const CONTEXT_1 = 0xa1;

const oid = (hex: string): Buffer => definite(OID, Buffer.from(hex, 'hex'));
const NULL = Buffer.from('0500', 'hex');
const END_OF_CONTENTS = Buffer.alloc(2);
const VERSION_2 = definite(INTEGER, Buffer.from([2]));
const SHA256 = definite(SEQUENCE, oid('608648016503040201'), NULL);
const MGF1_SHA256 = definite(SEQUENCE, oid('2a864886f70d010108'), SHA256);
const OAEP = definite(
  SEQUENCE,
  oid('2a864886f70d010107'),
  definite(SEQUENCE, definite(CONTEXT_0, SHA256), definite(CONTEXT_1, MGF1_SHA256)),
);
const AES_256_CBC = oid('60864801650304012a');
const DATA = oid('2a864886f70d010701');
const ENVELOPED_DATA = oid('2a864886f70d010703');

/** What an envelope is made of; tests forge it. */
export interface EnvelopeParts {
  /** SHA-256 of the recipient's key. */
  readonly recipient: Uint8Array;
  readonly encryptedKey: Uint8Array;
  readonly iv: Uint8Array;
  readonly content: Uint8Array;
}

/** Encrypts to an RSA key. @param spki DER SubjectPublicKeyInfo */
export function sealEnvelope(spki: Uint8Array, plaintext: Uint8Array): Uint8Array {
  const key = rsaKey(spki);
  const contentKey = randomBytes(32);
  const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };
  const iv = randomBytes(16);
  const cipher = createCipheriv('aes-256-cbc', contentKey, iv);
  return writeEnvelope({
    recipient: createHash('sha256').update(spki).digest(),
    encryptedKey: publicEncrypt({ key, ...padding }, contentKey),
    iv,
    content: Buffer.concat([cipher.update(plaintext), cipher.final()]),
  });
}

export function writeEnvelope({ recipient, encryptedKey, iv, content }: EnvelopeParts): Uint8Array {
  const transport = definite(
    SEQUENCE,
    ...[VERSION_2, definite(CONTEXT_0_PRIMITIVE, recipient), OAEP, definite(OCTETS, encryptedKey)],
  );
  const encrypted = indefinite(
    SEQUENCE,
    ...[
      DATA,
      definite(SEQUENCE, AES_256_CBC, definite(OCTETS, iv)),
      indefinite(CONTEXT_0, definite(OCTETS, content)),
    ],
  );
  const enveloped = indefinite(SEQUENCE, VERSION_2, definite(SET, transport), encrypted);
  return new Uint8Array(indefinite(SEQUENCE, ENVELOPED_DATA, indefinite(CONTEXT_0, enveloped)));
}

/** @throws {ServiceError} ValidationException for what is no RSA key of 2048 bits or more */
export function rsaKey(spki: Uint8Array): ReturnType<typeof createPublicKey> {
  try {
    const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
    const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
    if (key.asymmetricKeyType === 'rsa' && bits >= MIN_MODULUS_BITS) return key;
  } catch {
    // Said below.
  }
  throw invalid('the public key of the attestation document is no RSA key of 2048 bits or more');
}

function definite(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const all = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag, ...lengthOf(all.length)]), all]);
}

function indefinite(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.from([tag, 0x80]), ...contents, END_OF_CONTENTS]);
}

function lengthOf(size: number): readonly number[] {
  if (size < 0x80) return [size];
  return size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
}
