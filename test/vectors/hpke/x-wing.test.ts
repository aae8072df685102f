import { readFileSync } from 'node:fs';
import { XWing } from '@hpke/hybridkem-x-wing';
import { describe, expect, it } from 'vitest';
import { userKeyFrom } from '../../../shared/protocol/user-decryption/hpke.ts';
import { UserPrivateKey } from '../../../shared/protocol/user-decryption/user-key.ts';
import { fromHex, toHex } from '../../../shared/wire/bytes.ts';

interface Vector {
  readonly seed: string;
  readonly eseed: string;
  readonly ss: string;
  readonly sk: string;
  readonly pk: string;
  readonly ct: string;
}

const file = readFileSync(new URL('./x-wing.json', import.meta.url), 'utf8');
const { vectors }: { vectors: Vector[] } = JSON.parse(file);
const hex = (bytes: ArrayBuffer): string => toHex(new Uint8Array(bytes));
const own = (text: string): ArrayBuffer => Uint8Array.from(fromHex(text)).buffer;

describe.each(vectors)('X-Wing, published vector $seed', (vector) => {
  const kem = new XWing();

  it('key generation: the published public key', async () => {
    const pair = await userKeyFrom(new UserPrivateKey(fromHex(vector.sk)));
    expect(toHex(pair.publicKey)).toBe(vector.pk);
  });

  it('encapsulation: the published ciphertext and secret', async () => {
    const recipientPublicKey = await kem.importKey('raw', own(vector.pk), true);
    const { enc, sharedSecret } = await kem.encap({ recipientPublicKey, ekm: own(vector.eseed) });
    expect(hex(enc)).toBe(vector.ct);
    expect(hex(sharedSecret)).toBe(vector.ss);
  });

  it('decapsulation: the published secret', async () => {
    const recipientKey = await kem.importKey('raw', own(vector.sk), false);
    expect(hex(await kem.decap({ recipientKey, enc: own(vector.ct) }))).toBe(vector.ss);
  });
});
