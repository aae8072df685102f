import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { networkPcr } from '../../../shared/attestation/pcr.ts';
import type { AttestationPolicy } from '../../../shared/attestation/policy.ts';
import { MOCK_MEASUREMENT, ROOTS } from '../../../shared/attestation/roots/mock.ts';
import { nodeUserData } from '../../../shared/attestation/user-data.ts';
import { verifyDocument } from '../../../shared/attestation/verify.ts';
import { digest } from '../../../shared/ids.ts';
import { noble } from '../../../shared/noble.ts';
import { fromHex, toHex } from '../../../shared/wire/bytes.ts';
import vectors from './documents.json' with { type: 'json' };

const raw = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, 'base64'));
const der = raw(vectors.root);

const bound = {
  freshness: { kind: 'nonce', nonce: fromHex(vectors.nonce) },
  publicKey: fromHex(vectors.publicKey),
  userData: fromHex(vectors.userData),
  maxSkewMs: 0,
} as const;

const policy: AttestationPolicy = {
  ...bound,
  roots: [
    {
      name: 'vector',
      class: 'production',
      sha256: digest(createHash('sha256').update(der).digest('hex')),
      der,
    },
  ],
  measurements: [{ pcr0: fromHex(vectors.pcr0), pcr1: fromHex(vectors.pcr1), pcr2: fromHex(vectors.pcr2) }],
  networkId: digest(vectors.networkId),
};

describe('frozen attestation documents', () => {
  it.each(vectors.cases)('frozen attestation documents: $name is $outcome', async ({ document, outcome }) => {
    const code = await verifyDocument(raw(document), policy, vectors.nowMs).then(
      () => 'ok',
      (error: { code?: string }) => error.code,
    );
    expect(code).toBe(outcome);
  });

  it('frozen attestation documents: one of an earlier mock enclave still verifies', async () => {
    const { networkId, nowMs, document } = vectors.mock;
    const mock = { ...bound, roots: ROOTS, measurements: [MOCK_MEASUREMENT], networkId: digest(networkId) };
    expect((await verifyDocument(raw(document), mock, nowMs)).timestampMs).toBe(nowMs);
  });

  it('frozen attestation documents: PCR16 and user data of a network and a node', async () => {
    const networkId = digest(`${'00'.repeat(31)}01`);
    const identity = Uint8Array.from({ length: 32 }, (_, i) => i);
    expect(toHex(await networkPcr(networkId))).toBe(
      '37d8395b308711e2edf0fe61a00f5a5b5764c5bf3c9fbb19d998443f5aa13df475c45749013375e8c11ffe3a9493ddbf',
    );
    expect(toHex(nodeUserData(noble, { networkId, identity, role: 'primary' }))).toBe(
      '660562d6ad0ec0d27df8cdb8c8a477ed1855733495bd59ab95e0509b5d7e2ebe',
    );
  });
});
