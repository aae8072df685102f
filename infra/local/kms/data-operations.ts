import { randomBytes } from 'node:crypto';
import type { Recipient, RecipientDesk } from './attested-recipient.ts';
import { decryptUnder, encryptUnder } from './ciphertext.ts';
import { sealEnvelope } from './envelope.ts';
import type { Fields } from './fields.ts';
import type { Answer, Call, KeyRing, Operations } from './key-ring.ts';
import type { StoredKey } from './key-store.ts';
import { invalid } from './service-error.ts';

const MAX_DATA_KEY_BYTES = 1024;
const MAX_PLAINTEXT_BYTES = 4096;
const MAX_BLOB_BYTES = 6144;

/** The operations that use a key. With a Recipient answers are encrypted to its key and hold nothing in the clear. */
export function dataOperations(ring: KeyRing, desk: RecipientDesk): Operations {
  const generate = async (call: Call, operation: string): Promise<Answer> => {
    const { fields } = call;
    const recipient = await desk.read(fields, ring.nowMs());
    const context = fields.context('EncryptionContext');
    const key = await ring.permitted(call, operation, { context, recipient });
    ring.requireEnabled(key);
    const plaintext = randomBytes(dataKeyBytes(fields));
    const CiphertextBlob = encryptUnder(key.keyId, materialOf(key), plaintext, context).toString('base64');
    const common = { KeyId: ring.arn(key), CiphertextBlob };
    return operation === 'GenerateDataKey' ? { ...common, ...deliver(plaintext, recipient) } : common;
  };

  const decrypt = async (call: Call): Promise<Answer> => {
    const { fields } = call;
    const recipient = await desk.read(fields, ring.nowMs());
    const blob = fields.bytes('CiphertextBlob', MAX_BLOB_BYTES);
    const key = await ring.ofCiphertext(blob, fields.optionalText('KeyId'));
    const context = fields.context('EncryptionContext');
    ring.require(call, key, 'Decrypt', { context, recipient });
    ring.requireEnabled(key);
    requireSymmetric(fields);
    const plaintext = decryptUnder(materialOf(key), blob, context);
    return {
      KeyId: ring.arn(key),
      EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
      ...deliver(plaintext, recipient),
    };
  };

  const encrypt = async (call: Call): Promise<Answer> => {
    const { fields } = call;
    const context = fields.context('EncryptionContext');
    const key = await ring.permitted(call, 'Encrypt', { context });
    ring.requireEnabled(key);
    requireSymmetric(fields);
    const plaintext = fields.bytes('Plaintext', MAX_PLAINTEXT_BYTES);
    const CiphertextBlob = encryptUnder(key.keyId, materialOf(key), plaintext, context).toString('base64');
    return { KeyId: ring.arn(key), CiphertextBlob, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' };
  };

  const reEncrypt = async (call: Call): Promise<Answer> => {
    const { fields } = call;
    const blob = fields.bytes('CiphertextBlob', MAX_BLOB_BYTES);
    const source = await ring.ofCiphertext(blob, fields.optionalText('SourceKeyId'));
    const from = fields.context('SourceEncryptionContext');
    ring.require(call, source, 'ReEncryptFrom', { context: from });
    const to = fields.context('DestinationEncryptionContext');
    const target = await ring.find(fields.text('DestinationKeyId'));
    ring.require(call, target, 'ReEncryptTo', { context: to });
    for (const key of [source, target]) ring.requireEnabled(key);
    const plaintext = decryptUnder(materialOf(source), blob, from);
    const CiphertextBlob = encryptUnder(target.keyId, materialOf(target), plaintext, to).toString('base64');
    return { CiphertextBlob, SourceKeyId: ring.arn(source), KeyId: ring.arn(target) };
  };

  const generateRandom = async (call: Call): Promise<Answer> => {
    const recipient = await desk.read(call.fields, ring.nowMs());
    ring.requireIam(call, 'GenerateRandom');
    return deliver(randomBytes(call.fields.integer('NumberOfBytes', 1, MAX_DATA_KEY_BYTES)), recipient);
  };

  return new Map([
    ['GenerateDataKey', (call) => generate(call, 'GenerateDataKey')],
    ['GenerateDataKeyWithoutPlaintext', (call) => generate(call, 'GenerateDataKeyWithoutPlaintext')],
    ['Decrypt', decrypt],
    ['Encrypt', encrypt],
    ['ReEncrypt', reEncrypt],
    ['GenerateRandom', generateRandom],
  ]);
}

function deliver(plaintext: Buffer, recipient: Recipient | undefined): Answer {
  if (recipient === undefined) return { Plaintext: plaintext.toString('base64') };
  const envelope = sealEnvelope(recipient.spki, plaintext);
  return { CiphertextForRecipient: Buffer.from(envelope).toString('base64') };
}

function dataKeyBytes(fields: Fields): number {
  const spec = fields.optionalText('KeySpec');
  if ((spec === undefined) === !fields.has('NumberOfBytes'))
    throw invalid('KeySpec or NumberOfBytes, one of them');
  if (spec === undefined) return fields.integer('NumberOfBytes', 1, MAX_DATA_KEY_BYTES);
  if (spec === 'AES_256') return 32;
  if (spec === 'AES_128') return 16;
  throw invalid('KeySpec is AES_256 or AES_128');
}

function requireSymmetric(fields: Fields): void {
  const algorithm = fields.optionalText('EncryptionAlgorithm') ?? 'SYMMETRIC_DEFAULT';
  if (algorithm !== 'SYMMETRIC_DEFAULT') throw invalid(`${algorithm} is not of this key`);
}

function materialOf({ material }: StoredKey): Uint8Array {
  return Buffer.from(material, 'base64');
}
