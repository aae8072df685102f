import { createDecipheriv } from 'node:crypto';
import { concat, equalBytes, fromHex } from '../../shared/wire/bytes.ts';
import { BerReader, badBer } from './ber.ts';
import type { RecipientKey } from './recipient-key.ts';

/**
 * `CiphertextForRecipient`, as AWS KMS answers an attested request: CMS EnvelopedData version 2 (RFC 5652 section 6) for
 * one recipient, whose content key travels by RSAES-OAEP (RFC 4056, SHA-256 in both places, no label), the content under
 * AES-256-CBC (RFC 3565). AWS writes the outer elements with indefinite lengths; definite ones are read too, since a node
 * that cannot read the next form of the same message would be locked out of its records.
 * Who made an envelope is not known from it: it counts for what the TLS connection that carried it counts.
 *
 * Read by a reader of our own: @peculiar/asn1-cms (2.11) takes this encoding but also trailing bytes, and drops in silence
 * what does not fit its schema. The tests hold the two against each other.
 */
export interface Envelope {
  /** Subject key identifier: here SHA-256 of the recipient's SubjectPublicKeyInfo. */
  readonly recipient: Uint8Array;
  readonly encryptedKey: Uint8Array;
  /** 16 bytes */
  readonly iv: Uint8Array;
  /** Whole blocks, 16 bytes or more. */
  readonly content: Uint8Array;
}

/** KMS encrypts at most 4096 bytes of data; a data key has 32. */
export const MAX_ENVELOPE_BYTES = 6144;

const BLOCK_BYTES = 16;
const CONTENT_KEY_BYTES = 32;
const KEY_ID_BYTES = 32;

const SEQUENCE = 0x30;
const SET = 0x31;
const OCTETS = 0x04;
const CONTEXT_0 = 0xa0;
const CONTEXT_0_PRIMITIVE = 0x80;

const VERSION_2 = fromHex('020102');
const ENVELOPED_DATA = fromHex('06092a864886f70d010703');
const DATA = fromHex('06092a864886f70d010701');
/** id-RSAES-OAEP with its parameters: hash SHA-256, MGF1 with SHA-256, the default label, which is empty. */
const RSAES_OAEP_SHA256 = fromHex(
  '303c06092a864886f70d010107302fa00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500',
);
const AES_256_CBC = fromHex('060960864801650304012a');

/** @throws {KmsError} BAD_ENCODING for anything but one message of this form */
export function readEnvelope(bytes: Uint8Array): Envelope {
  if (bytes.length > MAX_ENVELOPE_BYTES) throw badBer(`more than ${MAX_ENVELOPE_BYTES} bytes`);
  const ber = new BerReader(bytes);
  const envelope = ber.constructed(SEQUENCE, () => {
    ber.expect(ENVELOPED_DATA);
    return ber.constructed(CONTEXT_0, () =>
      ber.constructed(SEQUENCE, () => {
        ber.expect(VERSION_2);
        const key = ber.constructed(SET, () => ber.constructed(SEQUENCE, () => keyTransport(ber)));
        return { ...key, ...ber.constructed(SEQUENCE, () => encryptedContent(ber)) };
      }),
    );
  });
  ber.end();
  return envelope;
}

/** KeyTransRecipientInfo of version 2, which names its recipient by key identifier. */
function keyTransport(ber: BerReader): Pick<Envelope, 'recipient' | 'encryptedKey'> {
  ber.expect(VERSION_2);
  const recipient = ber.primitive(CONTEXT_0_PRIMITIVE);
  if (recipient.length !== KEY_ID_BYTES) throw badBer('the recipient is not named by a SHA-256');
  ber.expect(RSAES_OAEP_SHA256);
  return { recipient, encryptedKey: ber.primitive(OCTETS) };
}

function encryptedContent(ber: BerReader): Pick<Envelope, 'iv' | 'content'> {
  ber.expect(DATA);
  const iv = ber.constructed(SEQUENCE, () => {
    ber.expect(AES_256_CBC);
    return ber.primitive(OCTETS);
  });
  if (iv.length !== BLOCK_BYTES) throw badBer(`an initial vector that is not ${BLOCK_BYTES} bytes`);
  const content = ber.nextIs(CONTEXT_0_PRIMITIVE) ? ber.primitive(CONTEXT_0_PRIMITIVE) : pieces(ber);
  if (content.length === 0 || content.length % BLOCK_BYTES !== 0)
    throw badBer('content that is not whole blocks');
  return { iv, content };
}

/** An octet string in one or more pieces. */
function pieces(ber: BerReader): Uint8Array {
  return ber.constructed(CONTEXT_0, () => {
    const parts: Uint8Array[] = [];
    do parts.push(ber.primitive(OCTETS));
    while (ber.nextIs(OCTETS));
    return concat(...parts);
  });
}

/**
 * What KMS encrypted to this process; secret, the caller erases it.
 * @throws {KmsError} BAD_ENCODING: malformed, for another recipient, or not decryptable, without saying where it failed
 */
export function openEnvelope(bytes: Uint8Array, key: RecipientKey): Uint8Array {
  const { recipient, encryptedKey, iv, content } = readEnvelope(bytes);
  if (!equalBytes(recipient, key.identifier)) throw badBer('the message is for another recipient');
  const contentKey = key.unwrap(encryptedKey);
  if (contentKey?.length !== CONTENT_KEY_BYTES) {
    contentKey?.fill(0);
    throw undecryptable();
  }
  const parts: Buffer[] = [];
  try {
    const decipher = createDecipheriv('aes-256-cbc', contentKey, iv);
    parts.push(decipher.update(content));
    parts.push(decipher.final());
    return concat(...parts);
  } catch {
    throw undecryptable();
  } finally {
    contentKey.fill(0);
    for (const part of parts) part.fill(0);
  }
}

function undecryptable(): Error {
  return badBer('the message does not decrypt');
}
