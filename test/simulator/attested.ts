import { Credentials, type TlsIdentity } from '../../enclave/net/credentials.ts';
import { bindToNetwork } from '../../enclave/nsm/network-binding.ts';
import type { Nsm } from '../../enclave/nsm/nsm.ts';
import { type MockOptions, openMockPlatform } from '../../enclave/platform/mock.ts';
import { nodePrimitives } from '../../enclave/primitives.ts';
import { NO_NETWORK } from '../../shared/attestation/certificate.ts';
import { ChainCache } from '../../shared/attestation/chain-cache.ts';
import type { NodeTrust } from '../../shared/attestation/node-evidence.ts';
import { ROOTS } from '../../shared/attestation/roots/mock.ts';
import type { Digest } from '../../shared/ids.ts';
import type { Signer } from '../../shared/primitives.ts';
import { measurement } from './network.ts';

/** A security module of the image that founding() allows. */
export function mockNsm(options: MockOptions = {}): Nsm {
  return openMockPlatform({ measurement: measurement(10), ...options }).nsm;
}

/** A security module that is bound to a network already, as at the end of a boot. */
export async function boundNsm(networkId: Digest, options: MockOptions = {}): Promise<Nsm> {
  const nsm = mockNsm(options);
  if (networkId !== NO_NETWORK) await bindToNetwork(nsm, networkId);
  return nsm;
}

/** What an honest enclave of the network shows in TLS. */
export async function attestedIdentity(
  signer: Signer,
  networkId: Digest,
  options: MockOptions = {},
): Promise<TlsIdentity> {
  const nsm = await boundNsm(networkId, options);
  return (await Credentials.create(signer, nodePrimitives, nsm)).identityFor(networkId);
}

/** Trust in mock enclaves of the image that founding() allows. */
export function mockTrust(networkId: Digest, change: Partial<NodeTrust> = {}): NodeTrust {
  return {
    roots: ROOTS,
    networkId,
    measurements: () => [measurement(10)],
    nowMs: Date.now,
    chains: new ChainCache(),
    ...change,
  };
}
