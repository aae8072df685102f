import { createHash, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { parseUnverifiedDocument } from '../../../shared/attestation/document.ts';
import type { AttestationPolicy } from '../../../shared/attestation/policy.ts';
import { ROOTS as awsRoots } from '../../../shared/attestation/roots/aws.ts';
import { ROOTS as labRoots } from '../../../shared/attestation/roots/lab.ts';
import { ROOTS as mockRoots } from '../../../shared/attestation/roots/mock.ts';
import { verifyAuthentic, verifyDocument } from '../../../shared/attestation/verify.ts';
import { genuineDebugDocument, genuineDocument, genuineRootPem, hasGenuineDocuments } from './genuine.ts';

const refused = { code: 'BAD_ATTESTATION' };
const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));

/** From the document as AWS published it. */
const signedImage = {
  pcr0: hex(
    'f4d48b81a460c9916d1e685119074bf24660afd3e34fae9fca0a0d28d9d5599936332687e6f66fc890ac8cf150142d8b',
  ),
  pcr1: hex(
    'bcdf05fefccaa8e55bf2c8d6dee9e79bbff31e34bf28a99aa19e6b29c37ee80b214a414b7607236edf26fcb78654e63f',
  ),
  pcr2: hex(
    'd8f114da658de5481f8d9ec73907feb553560787522f705c92d7d96beed8e15e2aa611984e098c576832c292e8dc469a',
  ),
  pcr8: hex(
    '8790eb3cce6c83d07e84b126dc61ca923333d6f66615c4a79157de48c5ab2418bdc60746ea7b7afbff03a1c6210201cb',
  ),
};

const policy: AttestationPolicy = {
  roots: awsRoots,
  measurements: [signedImage],
  networkId: 'unchecked',
  freshness: { kind: 'age', maxAgeMs: 60_000 },
  publicKey: 'unchecked',
  userData: 'unchecked',
  maxSkewMs: 0,
};

describe.skipIf(!hasGenuineDocuments)('genuine documents', () => {
  const signedAt = Date.parse('2022-10-13T08:58:02.136Z');
  const debugAt = Date.parse('2023-09-18T15:03:30.860Z');

  it('genuine documents: the signed image verifies at its own time, by its registers', async () => {
    const document = await verifyDocument(genuineDocument(), policy, signedAt);
    expect(document.timestampMs).toBe(signedAt);
    expect(document.moduleId).toBe('i-020b6af9246d90e92-enc0183d09086c24190');
    expect(document.pcrs.size).toBe(16);
    const { pcr8: _, ...unsigned } = signedImage;
    await verifyDocument(genuineDocument(), { ...policy, measurements: [unsigned] }, signedAt);
  });

  it('genuine documents: both are authentic at their own time, and expired a day later', async () => {
    for (const [bytes, atMs] of [
      [genuineDocument(), signedAt],
      [genuineDebugDocument(), debugAt],
    ] as const) {
      expect((await verifyAuthentic(bytes, policy, atMs)).root.name).toBe('aws-nitro-g1');
      await expect(verifyAuthentic(bytes, policy, atMs + 86_400_000)).rejects.toMatchObject(refused);
      await expect(verifyAuthentic(bytes, policy, atMs - 86_400_000)).rejects.toMatchObject(refused);
    }
  });

  it('genuine documents: the debug one is refused by policy, whatever the policy', async () => {
    await expect(verifyDocument(genuineDebugDocument(), policy, debugAt)).rejects.toMatchObject(refused);
    const { pcrs } = parseUnverifiedDocument(genuineDebugDocument());
    const itsOwn = { pcr0: pcrs.get(0)!, pcr1: pcrs.get(1)!, pcr2: pcrs.get(2)! };
    await expect(
      verifyDocument(genuineDebugDocument(), { ...policy, measurements: [itsOwn] }, debugAt),
    ).rejects.toMatchObject({ code: 'BAD_INPUT' });
  });

  it('genuine documents: no other build accepts them', async () => {
    for (const roots of [mockRoots, labRoots]) {
      await expect(verifyDocument(genuineDocument(), { ...policy, roots }, signedAt)).rejects.toMatchObject(
        refused,
      );
    }
  });

  it('genuine documents: any changed byte is refused', async () => {
    const good = genuineDocument();
    for (let at = 0; at < good.length; at += 211) {
      const bytes = good.slice();
      bytes[at]! ^= 0x10;
      await expect(verifyDocument(bytes, policy, signedAt), `byte ${at}`).rejects.toMatchObject({
        code: expect.stringMatching(/^BAD_(ENCODING|ATTESTATION)$/),
      });
    }
  });

  it('genuine documents: the pinned root is the published one', () => {
    expect(new Uint8Array(new X509Certificate(genuineRootPem()).raw)).toEqual(awsRoots[0]!.der);
  });
});

describe('pinned roots', () => {
  it.each([
    ['aws', awsRoots, '641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b', 'production'],
    ['lab', labRoots, '83a27f4307ad04f0a6fd8003985deb5e929310e0a3b7cedfbacc43d201f1073e', 'lab'],
    ['mock', mockRoots, '70a1efb9eeff020cac6c96557de6ffb97495e227920e0b914fcf2c8f097ee945', 'mock'],
  ] as const)(
    'pinned roots: %s is one self-signed authority with its fingerprint',
    (_, roots, sha256, kind) => {
      expect(roots).toHaveLength(1);
      const [root] = roots;
      expect(root).toMatchObject({ sha256, class: kind });
      expect(createHash('sha256').update(root!.der).digest('hex')).toBe(sha256);
      const certificate = new X509Certificate(root!.der);
      expect(certificate.ca).toBe(true);
      expect(certificate.verify(certificate.publicKey)).toBe(true);
      expect(certificate.validToDate.getUTCFullYear()).toBe(2049);
    },
  );
});
