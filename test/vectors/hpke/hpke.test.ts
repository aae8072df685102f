import { createCipheriv, createDecipheriv } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { AeadId, CipherSuite, HkdfSha256 } from '@hpke/core';
import { XWing } from '@hpke/hybridkem-x-wing';
import { describe, expect, it } from 'vitest';
import { userKeyFrom } from '../../../shared/protocol/user-decryption/hpke.ts';
import { UserPrivateKey } from '../../../shared/protocol/user-decryption/user-key.ts';
import { fromHex, toHex } from '../../../shared/wire/bytes.ts';

interface Vector {
  readonly info: string;
  readonly ekm: string;
  readonly sk: string;
  readonly pk: string;
  readonly enc: string;
  readonly sharedSecret: string;
  readonly encryptions: readonly { readonly aad: string; readonly pt: string; readonly ct: string }[];
  readonly exports: readonly { readonly context: string; readonly value: string }[];
}

const vector: Vector = JSON.parse(readFileSync(new URL('./hpke-x-wing.json', import.meta.url), 'utf8'));
const hex = (bytes: ArrayBuffer): string => toHex(new Uint8Array(bytes));
const own = (text: string): ArrayBuffer => Uint8Array.from(fromHex(text)).buffer;
const joined = (...parts: readonly Buffer[]): ArrayBuffer => Uint8Array.from(Buffer.concat(parts)).buffer;

/** The published vector for this KEM and KDF is with ChaCha20Poly1305; AES-256-GCM differs in nothing but the cipher. */
const chacha = {
  id: AeadId.Chacha20Poly1305,
  keySize: 32,
  nonceSize: 12,
  tagSize: 16,
  createEncryptionContext: (key: ArrayBuffer) => ({
    async seal(iv: ArrayBuffer, data: ArrayBuffer, aad: ArrayBuffer): Promise<ArrayBuffer> {
      const cipher = createCipheriv('chacha20-poly1305', Buffer.from(key), Buffer.from(iv), {
        authTagLength: 16,
      });
      cipher.setAAD(Buffer.from(aad), { plaintextLength: data.byteLength });
      return joined(cipher.update(Buffer.from(data)), cipher.final(), cipher.getAuthTag());
    },
    async open(iv: ArrayBuffer, data: ArrayBuffer, aad: ArrayBuffer): Promise<ArrayBuffer> {
      const sealed = Buffer.from(data);
      const cipher = createDecipheriv('chacha20-poly1305', Buffer.from(key), Buffer.from(iv), {
        authTagLength: 16,
      });
      cipher
        .setAAD(Buffer.from(aad), { plaintextLength: sealed.length - 16 })
        .setAuthTag(sealed.subarray(-16));
      return joined(cipher.update(sealed.subarray(0, -16)), cipher.final());
    },
  }),
};

describe('HPKE with X-Wing, published vector', () => {
  const kem = new XWing();
  const suite = new CipherSuite({ kem: new XWing(), kdf: new HkdfSha256(), aead: chacha });

  it('key generation: the published public key', async () => {
    expect(toHex((await userKeyFrom(new UserPrivateKey(fromHex(vector.sk)))).publicKey)).toBe(vector.pk);
  });

  it('sender: the published encapsulation, ciphertexts and exports', async () => {
    const recipientPublicKey = await kem.importKey('raw', own(vector.pk), true);
    const { sharedSecret } = await kem.encap({ recipientPublicKey, ekm: own(vector.ekm) });
    expect(hex(sharedSecret)).toBe(vector.sharedSecret);
    const options = { recipientPublicKey, info: own(vector.info), ekm: own(vector.ekm) };
    const sender = await suite.createSenderContext(options);
    expect(hex(sender.enc)).toBe(vector.enc);
    for (const { aad, pt, ct } of vector.encryptions)
      expect(hex(await sender.seal(own(pt), own(aad)))).toBe(ct);
    for (const { context, value } of vector.exports)
      expect(hex(await sender.export(own(context), 32))).toBe(value);
  });

  it('recipient: the published plaintexts', async () => {
    const recipientKey = await kem.importKey('raw', own(vector.sk), false);
    const options = { recipientKey, enc: own(vector.enc), info: own(vector.info) };
    const recipient = await suite.createRecipientContext(options);
    for (const { aad, pt, ct } of vector.encryptions)
      expect(hex(await recipient.open(own(ct), own(aad)))).toBe(pt);
  });
});
