import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { ed25519Signer, nodePrimitives } from '../../../enclave/primitives.ts';
import { verifyNodeCertificate } from '../../../shared/attestation/certificate.ts';
import { verifyNode } from '../../../shared/attestation/node-evidence.ts';
import { codeOf, type ErrorCode } from '../../../shared/errors.ts';
import { digest } from '../../../shared/ids.ts';
import { attestedIdentity, mockTrust } from '../../simulator/attested.ts';
import { damage, damaged } from '../protocol/damage.ts';

const numRuns = Number(process.env.FUZZ_RUNS ?? 150);
const networkId = digest(`6d6f636b${'77'.repeat(28)}`);
const codes: readonly ErrorCode[] = ['BAD_PEER', 'BAD_ATTESTATION', 'BAD_ENCODING', 'TOO_LARGE'];
let certificate: Uint8Array;

beforeAll(async () => {
  const { cert } = await attestedIdentity(ed25519Signer(new Uint8Array(32).fill(5)), networkId);
  certificate = new Uint8Array(Buffer.from(cert.replace(/-----[A-Z ]+-----|\s/g, ''), 'base64'));
});

/** Both halves of what a handshake does with a certificate. @returns the code of the refusal */
async function refusal(der: Uint8Array): Promise<ErrorCode | undefined> {
  try {
    const claim = verifyNodeCertificate(nodePrimitives, der, networkId);
    await verifyNode(nodePrimitives, mockTrust(networkId), claim);
    return undefined;
  } catch (error) {
    return codeOf(error);
  }
}

test('fuzz node certificate: damaged bytes are refused with a code, or were not what is signed', async () => {
  expect(await refusal(certificate)).toBeUndefined();
  await fc.assert(
    fc.asyncProperty(damage, async (how) => {
      const code = await refusal(damaged(certificate, how));
      if (code !== undefined) expect(codes).toContain(code);
    }),
    { numRuns },
  );
});

test('fuzz node certificate: any bytes are refused with a code', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 2_000 }), async (der) => {
      expect(await refusal(der)).toBe('BAD_PEER');
    }),
    { numRuns },
  );
  expect(await refusal(new Uint8Array(1 << 20))).toBe('BAD_PEER');
});
