import { createPrivateKey, createPublicKey } from 'node:crypto';
import { RecipientKey } from '../../../enclave/aws/recipient-key.ts';
import vectors from './cms.json' with { type: 'json' };

/** The recipient of the frozen messages. */
export function frozenKey(): RecipientKey {
  const key = { key: Buffer.from(vectors.pkcs8, 'base64'), format: 'der', type: 'pkcs8' } as const;
  const privateKey = createPrivateKey(key);
  return new RecipientKey(createPublicKey(privateKey.export({ type: 'pkcs8', format: 'pem' })), privateKey);
}

export const frozenMessages: readonly { readonly plaintext: Uint8Array; readonly envelope: Uint8Array }[] =
  vectors.cases.map(({ plaintext, envelope }) => ({
    plaintext: new Uint8Array(Buffer.from(plaintext, 'hex')),
    envelope: new Uint8Array(Buffer.from(envelope, 'base64')),
  }));
