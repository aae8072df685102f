import { secp256k1 } from '@noble/curves/secp256k1.js';
import { expect, it } from 'vitest';
import { newResultSigner, RESULT_SIGNER, ResultSigner } from '../../../enclave/membership/result-signer.ts';
import { systemRng } from '../../../enclave/primitives.ts';
import { fromHex } from '../../../shared/wire/bytes.ts';
import { MemoryStore } from '../../simulator/memory-store.ts';

const last = fromHex('fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140');

it('result signer: its public key is the one that noble finds', async () => {
  const one = new Uint8Array(32).with(31, 1);
  for (const secret of [one, last, ...Array.from({ length: 20 }, () => newResultSigner(systemRng))]) {
    const store = new MemoryStore(new Map([[RESULT_SIGNER, secret]]));
    using signer = await ResultSigner.open(store);
    expect(signer.publicKey).toEqual(secp256k1.getPublicKey(secret, true));
  }
});

it.each([
  ['missing', undefined],
  ['zero', new Uint8Array(32)],
  ['the order of the group', last.with(31, 0x41)],
  ['short', new Uint8Array(31).fill(1)],
])('result signer: a secret that is %s is refused', async (_, secret) => {
  const store = new MemoryStore(secret === undefined ? new Map() : new Map([[RESULT_SIGNER, secret]]));
  await expect(ResultSigner.open(store)).rejects.toMatchObject({ code: 'STORE_FAILED' });
});
