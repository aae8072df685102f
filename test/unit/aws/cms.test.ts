import 'reflect-metadata';
import { constants, createCipheriv, createPublicKey, publicEncrypt, randomBytes } from 'node:crypto';
import { ContentInfo, EnvelopedData } from '@peculiar/asn1-cms';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import { describe, expect, it } from 'vitest';
import { BerReader } from '../../../enclave/aws/ber.ts';
import { MAX_ENVELOPE_BYTES, openEnvelope, readEnvelope } from '../../../enclave/aws/cms.ts';
import { RecipientKey } from '../../../enclave/aws/recipient-key.ts';
import { sealEnvelope, writeEnvelope } from '../../../infra/local/kms/envelope.ts';
import { fromHex, toHex } from '../../../shared/wire/bytes.ts';
import { frozenKey, frozenMessages } from '../../vectors/aws/cms-key.ts';

const key = frozenKey();
const [, , , { envelope: good, plaintext } = { envelope: new Uint8Array(), plaintext: new Uint8Array() }] =
  frozenMessages;
const refused = expect.objectContaining({ code: 'BAD_ENCODING' });

/** The good message with one piece of its hex replaced. */
function edited(find: string, replace: string): Uint8Array {
  const hex = toHex(good);
  expect(hex.split(find)).toHaveLength(2);
  return fromHex(hex.replace(find, replace));
}

/** A message of right form whose content key is this. */
function withContentKey(contentKey: Uint8Array, oaepHash = 'sha256'): Uint8Array {
  const spki = { key: Buffer.from(key.spki), format: 'der', type: 'spki' } as const;
  const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash };
  const { iv, content } = readEnvelope(good);
  const encryptedKey = publicEncrypt({ key: createPublicKey(spki), ...padding }, contentKey);
  return writeEnvelope({ recipient: key.identifier, encryptedKey, iv, content });
}

describe('CMS', () => {
  it('CMS: a message opens with the key it names', async () => {
    expect(openEnvelope(good, key)).toEqual(plaintext);
    const fresh = await RecipientKey.generate();
    const secret = new Uint8Array(randomBytes(32));
    expect(openEnvelope(sealEnvelope(fresh.spki, secret), fresh)).toEqual(secret);
    expect(() => openEnvelope(good, fresh)).toThrow(refused);
    expect(JSON.stringify({ fresh })).toBe('{"fresh":"[secret]"}');
  });

  it('CMS: definite lengths are read as indefinite ones, in one piece or several', () => {
    const { content } = readEnvelope(good);
    const [a, b] = [content.subarray(0, 16), content.subarray(16)];
    const pieces = `0410${toHex(a)}0420${toHex(b)}`;
    const size = content.length.toString(16).padStart(2, '0');
    const one = `a08004${size}${toHex(content)}0000`;
    expect(openEnvelope(edited(one, `a080${pieces}0000`), key)).toEqual(plaintext);
    expect(openEnvelope(edited(one, `a034${pieces}`), key)).toEqual(plaintext);
    expect(openEnvelope(edited(one, `80${size}${toHex(content)}`), key)).toEqual(plaintext);
  });

  it('CMS: a well-kept library reads the same fields, in both forms', () => {
    for (const { envelope } of frozenMessages) {
      const info = AsnConvert.parse(envelope, ContentInfo);
      const { recipientInfos, encryptedContentInfo } = AsnConvert.parse(info.content, EnvelopedData);
      const ours = readEnvelope(envelope);
      const transport = recipientInfos[0]?.ktri;
      const bytes = (buffer: ArrayBuffer | undefined): Uint8Array =>
        new Uint8Array(buffer ?? new ArrayBuffer(0));
      expect(bytes(transport?.rid.subjectKeyIdentifier?.buffer)).toEqual(ours.recipient);
      expect(bytes(transport?.encryptedKey.buffer)).toEqual(ours.encryptedKey);
      const { parameters } = encryptedContentInfo.contentEncryptionAlgorithm;
      expect(bytes(AsnConvert.parse(parameters ?? new ArrayBuffer(0), OctetString).buffer)).toEqual(ours.iv);
      const parts = encryptedContentInfo.encryptedContent?.constructedValue ?? [];
      expect(bytes(parts[0]?.buffer)).toEqual(ours.content);
    }
  });

  it.each<[string, () => Uint8Array]>([
    ['nothing', () => new Uint8Array(0)],
    ['trailing bytes', () => Uint8Array.from([...good, 0])],
    ['trailing ends', () => Uint8Array.from([...good, 0, 0])],
    ['a missing end', () => good.slice(0, -2)],
    ['more than there can be', () => sealEnvelope(key.spki, new Uint8Array(MAX_ENVELOPE_BYTES))],
    ['another content type', () => edited('06092a864886f70d010703', '06092a864886f70d010702')],
    ['version 0', () => edited('0201023182', '0201003182')],
    ['a recipient of version 0', () => edited('0201028020', '0201008020')],
    ['two recipients', () => edited(recipients().set, `318202d6${recipients().one.repeat(2)}`)],
    ['no recipient', () => edited(recipients().set, '3100')],
    ['another recipient', () => edited(toHex(key.identifier), 'ab'.repeat(32))],
    [
      'a short name of the recipient',
      () => edited(`8020${toHex(key.identifier)}`, `801f${toHex(key.identifier).slice(2)}`),
    ],
    ['PKCS #1 v1.5', () => edited('06092a864886f70d010107', '06092a864886f70d010101')],
    [
      'OAEP with SHA-1',
      () => edited('a00f300d06096086480165030402010500', 'a00f300d06092b0e03021a0000000500'),
    ],
    [
      'MGF1 with SHA-512',
      () => edited('300d06096086480165030402010500048', '300d06096086480165030402030500048'),
    ],
    ['another type of data', () => edited('06092a864886f70d010701', '06092a864886f70d010706')],
    ['AES-128', () => edited('060960864801650304012a', '0609608648016503040102')],
    ['AES-256-GCM', () => edited('060960864801650304012a', '060960864801650304012e')],
    ['a long length in a long form', () => edited('a08004', 'a0800481')],
    ['a content key of 16 bytes', () => withContentKey(randomBytes(16))],
    ['another content key', () => withContentKey(randomBytes(32))],
    ['OAEP with another hash than it says', () => withContentKey(randomBytes(32), 'sha1')],
    ['content in broken blocks', () => writeEnvelope({ ...readEnvelope(good), content: new Uint8Array(15) })],
    ['no content', () => writeEnvelope({ ...readEnvelope(good), content: new Uint8Array(0) })],
    ['a short initial vector', () => writeEnvelope({ ...readEnvelope(good), iv: new Uint8Array(12) })],
    ['no encrypted key', () => writeEnvelope({ ...readEnvelope(good), encryptedKey: new Uint8Array(0) })],
    ['unpadded content', () => unpadded()],
  ])('CMS: %s is BAD_ENCODING', (_, make) => {
    const bytes = make();
    expect(() => openEnvelope(bytes, key)).toThrow(refused);
  });

  it.each<[string, () => Uint8Array]>([
    [
      'a short name of the recipient',
      () => writeEnvelope({ ...readEnvelope(good), recipient: new Uint8Array(31) }),
    ],
    ['a short initial vector', () => writeEnvelope({ ...readEnvelope(good), iv: new Uint8Array(12) })],
    ['content in broken blocks', () => writeEnvelope({ ...readEnvelope(good), content: new Uint8Array(15) })],
    ['no content', () => writeEnvelope({ ...readEnvelope(good), content: new Uint8Array(0) })],
  ])('CMS: %s is refused while reading, before any key is used', (_, make) => {
    const bytes = make();
    expect(() => readEnvelope(bytes)).toThrow(refused);
  });

  it('CMS: every cut is BAD_ENCODING', () => {
    for (let size = 0; size < good.length; size++) {
      expect(() => openEnvelope(good.slice(0, size), key)).toThrow(refused);
    }
  });
});

/** The set of recipients, in hex, and the one that is in it. */
function recipients(): { readonly set: string; readonly one: string } {
  const hex = toHex(good);
  const at = hex.indexOf('3182016b');
  const one = hex.slice(at + 8, at + 8 + 2 * 363);
  expect(one.startsWith('308201670201028020')).toBe(true);
  return { set: `3182016b${one}`, one };
}

/** Decrypts to a block that no padding ends. */
function unpadded(): Uint8Array {
  const spki = { key: Buffer.from(key.spki), format: 'der', type: 'spki' } as const;
  const contentKey = randomBytes(32);
  const iv = randomBytes(16);
  const cipher = createCipheriv('aes-256-cbc', contentKey, iv).setAutoPadding(false);
  const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };
  const encryptedKey = publicEncrypt({ key: createPublicKey(spki), ...padding }, contentKey);
  const content = Buffer.concat([cipher.update(new Uint8Array(48)), cipher.final()]);
  return writeEnvelope({ recipient: key.identifier, encryptedKey, iv, content });
}

describe('BER', () => {
  it.each<[string, string]>([
    ['an indefinite length of a primitive', '0480000000'],
    ['an indefinite length of a primitive, read as a number', `0480${'00'.repeat(128)}`],
    ['a length in too many bytes', `0483000100${'00'.repeat(256)}`],
    ['a length that could be shorter', '04810100'],
    ['a long length that could be shorter', '0482008000'],
    ['a length beyond the end', '040200'],
    ['a length without end', '0482'],
    ['another tag', '0500'],
  ])('BER: %s is refused', (_, hex) => {
    expect(() => new BerReader(fromHex(hex)).primitive(4)).toThrow(refused);
  });

  it('BER: an element ends where it says, whatever lies within', () => {
    const within = (hex: string): Uint8Array =>
      new BerReader(fromHex(hex)).constructed(0x30, () => new Uint8Array());
    expect(within('3000')).toHaveLength(0);
    expect(within('30800000')).toHaveLength(0);
    for (const hex of ['300100', '308000', '3080', '30800001', '30'])
      expect(() => within(hex)).toThrow(refused);
    // An inner element may not reach beyond the outer one.
    const inner = new BerReader(fromHex('30030404aabbccdd'));
    expect(() => inner.constructed(0x30, () => inner.primitive(4))).toThrow(refused);
  });
});
