import { expect, test } from 'vitest';
import { openEnvelope, readEnvelope } from '../../../enclave/aws/cms.ts';
import { toHex } from '../../../shared/wire/bytes.ts';
import vectors from './cms.json' with { type: 'json' };
import { frozenKey, frozenMessages } from './cms-key.ts';

/** The fixed bytes before the recipient of any answer of AWS KMS to a key of 2048 bits. */
const AWS_HEAD = '308006092a864886f70d010703a08030800201023182016b30820167020102' + '8020';
const AWS_MIDDLE =
  '303c06092a864886f70d010107302fa00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500' +
  '04820100';
const AWS_CONTENT = '308006092a864886f70d010701301d060960864801650304012a0410';
const AWS_TAIL = '0000'.repeat(5);

test('cms vectors: frozen messages open', () => {
  const key = frozenKey();
  expect(Buffer.from(key.spki).toString('base64')).toBe(vectors.spki);
  for (const { plaintext, envelope } of frozenMessages)
    expect(openEnvelope(envelope, key)).toEqual(plaintext);
});

test('cms vectors: they have the shape of what AWS KMS answers, byte by byte', () => {
  const { identifier } = frozenKey();
  for (const { envelope } of frozenMessages) {
    const { encryptedKey, iv, content } = readEnvelope(envelope);
    const size = content.length;
    const length =
      size < 128
        ? toHex(Uint8Array.of(size))
        : size < 256
          ? `81${toHex(Uint8Array.of(size))}`
          : `82${size.toString(16).padStart(4, '0')}`;
    expect(toHex(envelope)).toBe(
      [
        ...[AWS_HEAD, toHex(identifier), AWS_MIDDLE, toHex(encryptedKey), AWS_CONTENT, toHex(iv)],
        ...['a08004', length, toHex(content), AWS_TAIL],
      ].join(''),
    );
  }
});
