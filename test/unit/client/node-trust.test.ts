import { describe, expect, it } from 'vitest';
import { rootsFor, trustIn, unconditionally } from '../../../client/node-trust.ts';
import { Credentials } from '../../../enclave/net/credentials.ts';
import { ed25519Signer, nodePrimitives, systemRng } from '../../../enclave/primitives.ts';
import { NO_NETWORK, readNodeCertificate } from '../../../shared/attestation/certificate.ts';
import { verifyNode } from '../../../shared/attestation/node-evidence.ts';
import { codeOf } from '../../../shared/errors.ts';
import { type Digest, digest } from '../../../shared/ids.ts';
import { ConfigurationChain } from '../../../shared/network/chain.ts';
import type { NetworkClass } from '../../../shared/network/network-class.ts';
import { boundNsm } from '../../simulator/attested.ts';
import { foundedChain, measurement, operators, signedBy, successor } from '../../simulator/network.ts';

const members = [1, 2, 3, 4].map((i) => ({
  identity: new Uint8Array(32).fill(i),
  address: `n${i}.example:443`,
}));
const chainOf = (of: NetworkClass) => foundedChain(members, { class: of });

async function mockClaim(networkId: Digest) {
  const signer = ed25519Signer(systemRng(32));
  const credentials = await Credentials.create(signer, nodePrimitives, await boundNsm(networkId));
  const { cert } = await credentials.identityFor(networkId);
  const der = Buffer.from(cert.replace(/-----[A-Z ]+-----|\s/g, ''), 'base64');
  const { binding, spki, document } = readNodeCertificate(der);
  return { identity: binding.identity, spki, document };
}

describe('trust of a client', () => {
  it.each(['production', 'lab', 'mock'] as const)(
    'trust: in a %s network the roots of its class count, and no others',
    (of) => {
      const { networkId } = chainOf(of);
      for (const { roots } of [trustIn(chainOf(of)), unconditionally(networkId)]) {
        expect(roots.map((root) => root.class)).toEqual([of]);
      }
    },
  );

  it('trust: what a node without a network runs is shown under any root; no network at all has none', () => {
    expect(rootsFor(NO_NETWORK).map((root) => root.class)).toEqual(['production', 'lab', 'mock']);
    expect(rootsFor(digest('12'.repeat(32)))).toEqual([]);
  });

  it('trust: where there is a gateway its chain’s block says which images count, and without it only the first ones do', () => {
    const signers = operators(4);
    const founded = foundedChain(members, { class: 'production' });
    const both = [measurement(10), measurement(40)];
    const change = { measurements: both, activationBlock: 1000, overlapUntilBlock: 1010 };
    const next = signedBy(signers, successor(founded, change));
    const chain = ConfigurationChain.of(nodePrimitives, founded.genesis, [founded.newest.signed, next]);
    const allowedAt = (block?: () => number) => trustIn(chain, block).measurements();
    expect(allowedAt()).toEqual([measurement(10)]);
    expect(allowedAt(() => 999)).toEqual([measurement(10)]);
    // Active, and its delay not over yet.
    expect(allowedAt(() => 1099)).toEqual([measurement(10)]);
    expect(allowedAt(() => 1100)).toEqual(both);
  });

  it('trust: a mock enclave passes in mock networks only', async () => {
    const verdict = async (of: NetworkClass): Promise<string> => {
      const chain = chainOf(of);
      const claim = await mockClaim(chain.networkId);
      return verifyNode(nodePrimitives, trustIn(chain), claim).then(() => 'accepted', codeOf);
    };
    expect(await verdict('mock')).toBe('accepted');
    expect(await verdict('production')).toBe('BAD_ATTESTATION');
    expect(await verdict('lab')).toBe('BAD_ATTESTATION');
  });
});
