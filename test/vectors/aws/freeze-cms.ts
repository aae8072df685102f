import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RecipientKey } from '../../../enclave/aws/recipient-key.ts';
import { sealEnvelope } from '../../../infra/local/kms/envelope.ts';

/** Makes cms.json anew. The key is for these vectors alone. */
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'der' });
const { spki } = new RecipientKey(
  createPublicKey(privateKey),
  createPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' })),
);
const cases = [0, 16, 31, 32, 64, 1024].map((size) => {
  const plaintext = Uint8Array.from({ length: size }, (_, i) => (7 * i + size) & 0xff);
  return {
    plaintext: Buffer.from(plaintext).toString('hex'),
    envelope: Buffer.from(sealEnvelope(spki, plaintext)).toString('base64'),
  };
});
const file = { pkcs8: pkcs8.toString('base64'), spki: Buffer.from(spki).toString('base64'), cases };
writeFileSync(join(import.meta.dirname, 'cms.json'), `${JSON.stringify(file, undefined, 1)}\n`);
