import { randomBytes } from 'node:crypto';
import { bindToNetwork } from '../../enclave/nsm/network-binding.ts';
import { openMockPlatform } from '../../enclave/platform/mock.ts';
import { ChainCache } from '../../shared/attestation/chain-cache.ts';
import type { AttestationPolicy } from '../../shared/attestation/policy.ts';
import { MOCK_MEASUREMENT, ROOTS } from '../../shared/attestation/roots/mock.ts';
import { verifyDocument } from '../../shared/attestation/verify.ts';
import { digest } from '../../shared/ids.ts';
import { toHex, utf8 } from '../../shared/wire/bytes.ts';
import { type Job, timed } from './job.ts';

/** Documents with a chain of five certificates, as AWS makes them. */
export function attestationJobs(): readonly Job[] {
  return [
    verification('attestation-verify-cold', 8, 'attestation document, five certificates', undefined),
    verification('attestation-verify-cached', 2, 'attestation document, its chain known', new ChainCache()),
  ];
}

function verification(name: string, target: number, about: string, chains: ChainCache | undefined): Job {
  return timed({ name, unit: 'ms', about, target }, { runs: 20, calls: 10 }, () => {
    const made = sample();
    return async () => {
      const { document, policy, nowMs } = await made;
      await verifyDocument(document, policy, nowMs, chains);
    };
  });
}

async function sample(): Promise<{ document: Uint8Array; policy: AttestationPolicy; nowMs: number }> {
  const { nsm } = openMockPlatform();
  const networkId = digest(toHex(utf8('mock')) + toHex(randomBytes(28)));
  await bindToNetwork(nsm, networkId);
  const [nonce, publicKey, userData] = [randomBytes(32), randomBytes(91), randomBytes(32)];
  const policy: AttestationPolicy = {
    roots: ROOTS,
    measurements: [MOCK_MEASUREMENT],
    networkId,
    freshness: { kind: 'nonce', nonce },
    publicKey,
    userData,
    maxSkewMs: 60_000,
  };
  return { document: await nsm.attest({ nonce, publicKey, userData }), policy, nowMs: Date.now() };
}
