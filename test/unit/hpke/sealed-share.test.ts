import { randomBytes } from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KmsError } from '../../../shared/errors.ts';
import { digest, epochId, keyId, type PartyId, partyId } from '../../../shared/ids.ts';
import { noble } from '../../../shared/noble.ts';
import type { Signer } from '../../../shared/primitives.ts';
import { generateUserKey, seal } from '../../../shared/protocol/user-decryption/hpke.ts';
import {
  openShare,
  type SealedShare,
  type ShareScope,
  sealedShareCodec,
  sealShare,
  shareAad,
  userKeyDigest,
  verifyAndOpenShare,
  verifyShare,
} from '../../../shared/protocol/user-decryption/sealed-share.ts';
import { toHex, utf8 } from '../../../shared/wire/bytes.ts';
import { decode, encode } from '../../../shared/wire/codec.ts';

const rng = (sizeBytes: number): Uint8Array => new Uint8Array(randomBytes(sizeBytes));
const user = await generateUserKey(rng);
const party = partyId(2);
const signer = signerOf(new Uint8Array(32).fill(2));
const identities = new Map<PartyId, Uint8Array>([
  [party, signer.publicKey],
  [partyId(3), signerOf(new Uint8Array(32).fill(3)).publicKey],
]);
const scope: ShareScope = {
  request: new Uint8Array(32).fill(1),
  networkId: digest('22'.repeat(32)),
  key: keyId('33'.repeat(32)),
  epoch: epochId(4),
  ciphertext: digest('55'.repeat(32)),
  userKey: userKeyDigest(noble, user.publicKey),
  kind: 'scalar',
  level: 2,
};
const residues = BigUint64Array.of(0n, 1n, (1n << 64n) - 1n);
const sent = await sealShare(scope, { party, signer }, residues, user.publicKey, noble, rng);

function signerOf(seed: Uint8Array): Signer {
  return { publicKey: ed25519.getPublicKey(seed), sign: (message) => ed25519.sign(message, seed) };
}

async function faultOf(work: Promise<unknown>): Promise<{ code: string; culprits: readonly PartyId[] }> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof KmsError)) throw new Error('expected a KmsError', { cause: error });
  return { code: error.code, culprits: error.culprits };
}

const openIn = (under: ShareScope, encoded = sent): Promise<unknown> =>
  verifyAndOpenShare(encoded, under, identities, user.privateKey, noble);

/** Every bound field with another value. */
const changes: { [K in keyof ShareScope]: ShareScope[K] } = {
  request: new Uint8Array(32).fill(9),
  networkId: digest('99'.repeat(32)),
  key: keyId('99'.repeat(32)),
  epoch: epochId(5),
  ciphertext: digest('99'.repeat(32)),
  userKey: digest('99'.repeat(32)),
  kind: 'vector',
  level: 3,
};
const names = Object.keys(changes) as (keyof ShareScope)[];

describe('sealed share', () => {
  it('sealShare: the user gets the residues back', async () => {
    const opened = await verifyAndOpenShare(sent, scope, identities, user.privateKey, noble);
    expect(opened).toEqual({ party, residues });
  });

  it.each(names)('verifyShare: a request that differs in %s is not answered by it', async (name) => {
    const code = name === 'networkId' ? 'BAD_SIGNATURE' : 'BAD_INPUT';
    expect(await faultOf(openIn({ ...scope, [name]: changes[name] }))).toEqual({ code, culprits: [] });
  });

  it.each(names)('openShare: the ciphertext itself is bound to %s', async (name) => {
    const share = decode(sealedShareCodec, sent);
    const other = { ...scope, [name]: changes[name] };
    const fault = await faultOf(openShare(share, other, user.privateKey, noble));
    expect(fault).toEqual({ code: 'BAD_INPUT', culprits: [party] });
  });

  it('openShare: the ciphertext itself is bound to the party', async () => {
    const share = { ...decode(sealedShareCodec, sent), party: partyId(3) };
    const fault = await faultOf(openShare(share, scope, user.privateKey, noble));
    expect(fault).toEqual({ code: 'BAD_INPUT', culprits: [3] });
  });

  it('shareAad: differs for every bound field', () => {
    const all = names.map((name) => toHex(shareAad(noble, { ...scope, [name]: changes[name] }, party)));
    all.push(toHex(shareAad(noble, scope, party)), toHex(shareAad(noble, scope, partyId(3))));
    expect(new Set(all).size).toBe(names.length + 2);
  });

  it('verifyShare: a share under another party number, a foreign signature or altered bytes is not signed', async () => {
    const share = decode(sealedShareCodec, sent);
    const bent = share.sealed.slice();
    bent[0]! ^= 1;
    const forged: Partial<SealedShare>[] = [
      { party: partyId(3) },
      { party: partyId(4) },
      { signature: new Uint8Array(64) },
      { sealed: bent },
    ];
    for (const change of forged) {
      const encoded = encode(sealedShareCodec, { ...share, ...change });
      expect(await faultOf(openIn(scope, encoded))).toEqual({ code: 'BAD_SIGNATURE', culprits: [] });
    }
  });

  it('openShare: a signed share that does not open names its party', async () => {
    const info = utf8('kms/v1/user-decryption/share');
    const aad = shareAad(noble, scope, party);
    const foreign = await generateUserKey(rng);
    const bad = [
      new Uint8Array(0),
      rng(2000),
      await seal(foreign.publicKey, info, aad, new Uint8Array(8), rng),
      await seal(user.publicKey, info, aad, new Uint8Array(9), rng),
    ];
    for (const sealed of bad) {
      const share = { ...decode(sealedShareCodec, sent), sealed };
      const { code, culprits } = await faultOf(openShare(share, scope, user.privateKey, noble));
      expect(['BAD_INPUT', 'BAD_ENCODING']).toContain(code);
      expect(culprits).toEqual([party]);
    }
  });

  it('sealShare: refuses a user key that the request does not name, or that is none', async () => {
    const other = await generateUserKey(rng);
    const to = (key: Uint8Array, under = scope): Promise<unknown> =>
      sealShare(under, { party, signer }, residues, key, noble, rng);
    expect((await faultOf(to(other.publicKey))).code).toBe('BAD_INPUT');
    const none = new Uint8Array(3);
    expect((await faultOf(to(none, { ...scope, userKey: userKeyDigest(noble, none) }))).code).toBe(
      'BAD_INPUT',
    );
  });

  it('verifyShare: mutated or truncated bytes give a KmsError and never another share', () => {
    const place = fc.integer({ min: 0, max: sent.length - 1 });
    fc.assert(
      fc.property(place, fc.integer({ min: 1, max: 255 }), fc.boolean(), (at, change, cut) => {
        const bad = cut ? sent.slice(0, at) : sent.slice();
        if (!cut) bad[at]! ^= change;
        expect(() => verifyShare(bad, scope, identities, noble)).toThrow(KmsError);
      }),
      { numRuns: 60 },
    );
    expect(() => verifyShare(new Uint8Array([...sent, 0]), scope, identities, noble)).toThrow(KmsError);
  });

  it('sealedShareCodec: frozen bytes', () => {
    const { networkId: _, ...fields } = scope;
    const value = { ...fields, party, sealed: Uint8Array.of(7, 8), signature: new Uint8Array(64).fill(6) };
    const header = `${'01'.repeat(32)}${'33'.repeat(32)}04000000${'55'.repeat(32)}${scope.userKey}`;
    expect(toHex(encode(sealedShareCodec, value))).toBe(`${header}000202020000000708${'06'.repeat(64)}`);
  });
});
