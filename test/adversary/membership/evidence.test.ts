import { beforeAll, describe, expect, it } from 'vitest';
import { Credentials } from '../../../enclave/net/credentials.ts';
import type { MockOptions } from '../../../enclave/platform/mock.ts';
import { ed25519Signer, nodePrimitives, systemRng } from '../../../enclave/primitives.ts';
import { NO_NETWORK, type NodeClaim, readNodeCertificate } from '../../../shared/attestation/certificate.ts';
import type { NodeTrust } from '../../../shared/attestation/node-evidence.ts';
import { ROOTS as AWS } from '../../../shared/attestation/roots/aws.ts';
import { codeOf } from '../../../shared/errors.ts';
import { type Digest, digest } from '../../../shared/ids.ts';
import { boundNsm, mockTrust } from '../../simulator/attested.ts';
import { foundedChain, measurement, operators, signedBy, successor } from '../../simulator/network.ts';
import { attackBoth, type Edit } from '../mutant.ts';

const networkId = digest(`6d6f636b${'12'.repeat(28)}`);
const other = digest(`6d6f636b${'34'.repeat(28)}`);
const signer = ed25519Signer(systemRng(32));
const MINUTE_MS = 60_000;
const EVIDENCE = 'shared/attestation/node-evidence.ts';
type Evidence = typeof import('../../../shared/attestation/node-evidence.ts');

async function credentials(bound: Digest = networkId, options: MockOptions = {}): Promise<Credentials> {
  return Credentials.create(signer, nodePrimitives, await boundNsm(bound, options));
}

async function claimOf(of: Credentials, network: Digest = networkId): Promise<NodeClaim> {
  const { cert } = await of.identityFor(network);
  const der = Buffer.from(cert.replace(/-----[A-Z ]+-----|\s/g, ''), 'base64');
  const { binding, spki, document } = readNodeCertificate(der);
  return { identity: binding.identity, spki, document };
}

/** Whether a node verifies with the code as it is, and with a rule taken out. */
async function accepted(
  name: string,
  edits: readonly Edit[],
  claim: NodeClaim,
  trust: NodeTrust = mockTrust(networkId),
): Promise<{ readonly withRule: boolean; readonly withoutRule: boolean }> {
  return attackBoth(name, edits, async (load) => {
    const { verifyNode } = await load<Evidence>(EVIDENCE);
    return verifyNode(nodePrimitives, trust, claim).then(
      () => true,
      () => false,
    );
  });
}

async function refusal(claim: NodeClaim, trust: NodeTrust = mockTrust(networkId)): Promise<string> {
  const { verifyNode } = await import('../../../shared/attestation/node-evidence.ts');
  return verifyNode(nodePrimitives, trust, claim).then(() => 'accepted', codeOf);
}

let honest: NodeClaim;
beforeAll(async () => {
  honest = await claimOf(await credentials());
});

describe('attack on the evidence of a node', () => {
  it('evidence: an honest node is believed', async () => {
    expect(await refusal(honest)).toBe('accepted');
  });

  it('evidence: a document for another TLS key', async () => {
    const { document } = await claimOf(await credentials());
    const edits = [{ file: EVIDENCE, find: 'publicKey: spki,', replace: "publicKey: 'unchecked'," }];
    expect(await accepted('other-key', edits, { ...honest, document })).toEqual({
      withRule: false,
      withoutRule: true,
    });
  });

  it('evidence: a document of another identity, with the TLS key of this one', async () => {
    const thief = { ...honest, identity: ed25519Signer(systemRng(32)).publicKey };
    const edits = [
      {
        file: EVIDENCE,
        find: 'userData: nodeUserData(hashes, { networkId, identity, role, bootKey }),',
        replace: "userData: 'unchecked',",
      },
    ];
    expect(await accepted('other-identity', edits, thief)).toEqual({ withRule: false, withoutRule: true });
  });

  it('evidence: an enclave bound to another network, or to none, that claims this one', async () => {
    const edits = [
      {
        file: EVIDENCE,
        find: "networkId: networkId === NO_NETWORK ? 'unchecked' : networkId,",
        replace: "networkId: 'unchecked',",
      },
    ];
    for (const bound of [other, NO_NETWORK]) {
      const claim = await claimOf(await credentials(bound));
      expect(await refusal(claim)).toBe('BAD_ATTESTATION');
      expect(await accepted(`other-network-${bound.slice(8, 12)}`, edits, claim)).toEqual({
        withRule: false,
        withoutRule: true,
      });
    }
    expect(await refusal(await claimOf(await credentials(other), other))).toBe('BAD_ATTESTATION');
  });

  it('evidence: an image that is not allowed', async () => {
    const claim = await claimOf(await credentials(networkId, { measurement: measurement(20) }));
    const edits = [
      {
        file: EVIDENCE,
        find: "if (allowed !== 'unchecked') return allowed;",
        replace: '',
      },
    ];
    expect(await accepted('other-image', edits, claim)).toEqual({ withRule: false, withoutRule: true });
  });

  it('evidence: an enclave in debug mode, for whoever relies on it and whoever only looks', async () => {
    const zero = new Uint8Array(48);
    const claim = await claimOf(
      await credentials(networkId, { measurement: { pcr0: zero, pcr1: zero, pcr2: zero } }),
    );
    expect(await refusal(claim)).toBe('BAD_ATTESTATION');
    const looking = mockTrust(networkId, { measurements: () => 'unchecked' });
    expect(await refusal(claim, looking)).toBe('BAD_ATTESTATION');
    expect(await refusal(honest, looking)).toBe('accepted');
  });

  it('evidence: a replayed document that is older than five minutes, or from the future', async () => {
    const edits = [
      {
        file: EVIDENCE,
        find: 'MAX_HANDSHAKE_AGE_MS = 5 * 60_000',
        replace: 'MAX_HANDSHAKE_AGE_MS = 24 * 3_600_000',
      },
    ];
    const old = await claimOf(await credentials(networkId, { nowMs: () => Date.now() - 7 * MINUTE_MS }));
    expect(await accepted('stale', edits, old)).toEqual({ withRule: false, withoutRule: true });
    const young = await claimOf(await credentials(networkId, { nowMs: () => Date.now() - 4 * MINUTE_MS }));
    expect(await refusal(young)).toBe('accepted');
    const early = await claimOf(await credentials(networkId, { nowMs: () => Date.now() + 2 * MINUTE_MS }));
    expect(await refusal(early)).toBe('BAD_ATTESTATION');
  });

  it('evidence: a root that this build does not pin; no image allowed at all', async () => {
    expect(await refusal(honest, mockTrust(networkId, { roots: AWS }))).toBe('BAD_ATTESTATION');
    expect(await refusal(honest, mockTrust(networkId, { measurements: () => [] }))).toBe('BAD_INPUT');
  });

  it('evidence: mock roots count nothing in a production network, whatever the client would like', async () => {
    const production = digest(`6b6d7300${'12'.repeat(28)}`);
    const claim = await claimOf(await credentials(production), production);
    for (const measurements of [() => [measurement(10)], () => 'unchecked' as const]) {
      expect(await refusal(claim, mockTrust(production, { measurements }))).toBe('BAD_ATTESTATION');
    }
  });

  it("evidence: yesterday's image counts up to the activation of its successor, tomorrow's after the delay", async () => {
    const member = { identity: signer.publicKey, address: '127.0.0.1:1' };
    const others = [2, 3, 4].map((i) => ({
      identity: new Uint8Array(32).fill(i),
      address: `127.0.0.1:${i}`,
    }));
    const before = foundedChain([member, ...others]);
    const both = successor(before, {
      measurements: [measurement(10), measurement(20)],
      activationBlock: 1_000,
      overlapUntilBlock: 1_050,
    });
    const during = before.extend(signedBy(operators(4), both), 0);
    const upgraded = successor(during, {
      measurements: [measurement(20)],
      activationBlock: 2_000,
      overlapUntilBlock: 2_050,
    });
    const chain = during.extend(signedBy(operators(4), upgraded), 0);
    const id = chain.networkId;
    const [old, fresh] = await Promise.all(
      [10, 20].map(async (seed) => claimOf(await credentials(id, { measurement: measurement(seed) }), id)),
    );
    // New images count 100 blocks after their configuration is active (foundedChain), removals at once.
    const cases: readonly (readonly [number, boolean, boolean])[] = [
      [0, true, false],
      [1_000, true, false],
      [1_099, true, false],
      [1_100, true, true],
      [1_999, true, true],
      [2_000, false, true],
      [9_999, false, true],
    ];
    for (const [block, ...counts] of cases) {
      const trust = mockTrust(id, { measurements: () => chain.allowedMeasurements(block) });
      const answers = [await refusal(old!, trust), await refusal(fresh!, trust)];
      expect(answers).toEqual(counts.map((one) => (one ? 'accepted' : 'BAD_ATTESTATION')));
    }
  });
});
