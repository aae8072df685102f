import { createHash, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { bindToNetwork } from '../../../enclave/nsm/network-binding.ts';
import type { Nsm } from '../../../enclave/nsm/nsm.ts';
import { openMockPlatform, openPlatform } from '../../../enclave/platform/mock.ts';
import { parseUnverifiedDocument } from '../../../shared/attestation/document.ts';
import { networkPcr } from '../../../shared/attestation/pcr.ts';
import type { AttestationPolicy } from '../../../shared/attestation/policy.ts';
import { MOCK_MEASUREMENT, ROOTS } from '../../../shared/attestation/roots/mock.ts';
import { verifyDocument } from '../../../shared/attestation/verify.ts';
import { digest } from '../../../shared/ids.ts';

const networkId = digest(Buffer.from('mock').toString('hex') + '5a'.repeat(28));
const other = digest(Buffer.from('mock').toString('hex') + '5b'.repeat(28));
const bound = {
  nonce: new Uint8Array(20).fill(1),
  publicKey: new Uint8Array(91).fill(2),
  userData: new Uint8Array(32).fill(3),
};
const policy: AttestationPolicy = {
  roots: ROOTS,
  measurements: [MOCK_MEASUREMENT],
  networkId,
  freshness: { kind: 'nonce', nonce: bound.nonce },
  publicKey: bound.publicKey,
  userData: bound.userData,
  maxSkewMs: 0,
};
const badInput = { code: 'BAD_INPUT' };
const badAttestation = { code: 'BAD_ATTESTATION' };

async function boundModule(nowMs?: () => number): Promise<Nsm> {
  const { nsm } = openMockPlatform(nowMs === undefined ? {} : { nowMs });
  await bindToNetwork(nsm, networkId);
  return nsm;
}

describe('mock security module', () => {
  it('mock security module: its documents pass the whole verification', async () => {
    const nsm = await boundModule();
    const document = await verifyDocument(
      await nsm.attest(bound),
      { ...policy, maxSkewMs: 60_000 },
      Date.now(),
    );
    expect(document.moduleId).toBe((await nsm.describe()).moduleId);
    expect([...document.pcrs.keys()]).toEqual(Array.from({ length: 17 }, (_, index) => index));
  });

  it('mock security module: every node has its own chain under the one root', async () => {
    const [a, b] = await Promise.all([boundModule(), boundModule()]);
    const [one, two] = (await Promise.all([a!.attest(bound), b!.attest(bound)])).map(parseUnverifiedDocument);
    expect(one!.caBundle[0]).toEqual(two!.caBundle[0]);
    expect(one!.caBundle[1]).not.toEqual(two!.caBundle[1]);
    expect(one!.certificate).not.toEqual(two!.certificate);
  });

  it('mock security module: the chain has the shape of a genuine one', async () => {
    const document = parseUnverifiedDocument(await (await boundModule()).attest({}));
    const chain = [...document.caBundle, document.certificate].map((der) => new X509Certificate(der));
    expect(chain).toHaveLength(5);
    for (const [i, certificate] of chain.entries()) {
      const above = chain[i - 1] ?? certificate;
      expect(certificate.checkIssued(above)).toBe(true);
      expect(certificate.verify(above.publicKey)).toBe(true);
      expect(certificate.ca).toBe(i < 4);
    }
    const leaf = chain[4]!;
    expect(leaf.validToDate.getTime() - leaf.validFromDate.getTime()).toBe(3 * 3_600_000);
    expect([document.publicKey, document.userData, document.nonce]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('mock security module: documents carry the time of its clock, across renewals of its certificate', async () => {
    const start = Date.UTC(2031, 5, 1);
    let nowMs = start;
    const nsm = await boundModule(() => nowMs);
    const leaves = new Set<string>();
    for (const hours of [0, 1, 2, 2.6, 6, 30, 24 * 40, -24]) {
      nowMs = start + hours * 3_600_000;
      const document = await verifyDocument(await nsm.attest(bound), policy, nowMs);
      expect(document.timestampMs).toBe(nowMs);
      leaves.add(Buffer.from(document.certificate).toString('hex'));
    }
    expect(leaves.size).toBe(6);
  });

  it('mock security module: nobody but a mock network accepts it', async () => {
    const nsm = await boundModule();
    const document = await nsm.attest(bound);
    const nowMs = parseUnverifiedDocument(document).timestampMs;
    await verifyDocument(document, policy, nowMs);
    for (const tag of ['kms\0', 'lab\0']) {
      const real = digest(Buffer.from(tag).toString('hex') + '5a'.repeat(28));
      const { nsm: pretender } = openMockPlatform();
      await bindToNetwork(pretender, real);
      const bytes = await pretender.attest(bound);
      await expect(verifyDocument(bytes, { ...policy, networkId: real }, Date.now())).rejects.toMatchObject(
        badAttestation,
      );
    }
    await expect(verifyDocument(document, { ...policy, networkId: other }, nowMs)).rejects.toMatchObject(
      badAttestation,
    );
  });

  it('mock security module: its measurement is the hash of a text with a version', () => {
    for (const [i, register] of Object.values(MOCK_MEASUREMENT).entries()) {
      const text = `threshold-kms mock enclave, version 1, PCR${i}`;
      expect(Buffer.from(register).equals(createHash('sha384').update(text).digest())).toBe(true);
    }
  });

  it('mock security module: registers extend, lock, and stay as they are once locked', async () => {
    const { nsm } = await openPlatform();
    expect(await nsm.describePcr(20)).toEqual({ isLocked: false, value: new Uint8Array(48) });
    const data = new Uint8Array(32).fill(5);
    const expected = createHash('sha384').update(new Uint8Array(48)).update(data).digest();
    expect(Buffer.from(await nsm.extendPcr(20, data)).equals(expected)).toBe(true);
    await nsm.lockPcr(20);
    await expect(nsm.extendPcr(20, data)).rejects.toMatchObject(badInput);
    await expect(nsm.lockPcr(20)).rejects.toMatchObject(badInput);
    await expect(nsm.extendPcr(0, data)).rejects.toMatchObject(badInput);
    const { isLocked, value } = await nsm.describePcr(20);
    expect([isLocked, Buffer.from(value).equals(expected)]).toEqual([true, true]);
    expect((await nsm.describe()).lockedPcrs).toContain(20);
  });

  it('mock security module: gives as much randomness as asked for, never the same', async () => {
    const { nsm } = openMockPlatform();
    const [a, b] = [await nsm.random(600), await nsm.random(600)];
    expect([a.length, b.length]).toEqual([600, 600]);
    expect(a).not.toEqual(b);
  });
});

describe('network binding', () => {
  it('network binding: is idempotent, finishes what was interrupted, and never changes network', async () => {
    const { nsm } = openMockPlatform();
    await nsm.extendPcr(16, Buffer.from(networkId, 'hex'));
    await bindToNetwork(nsm, networkId);
    await bindToNetwork(nsm, networkId);
    expect(await nsm.describePcr(16)).toEqual({ isLocked: true, value: await networkPcr(networkId) });
    await expect(bindToNetwork(nsm, other)).rejects.toMatchObject(badInput);
  });

  it('network binding: a register that was locked empty or extended otherwise is refused', async () => {
    const locked = openMockPlatform().nsm;
    await locked.lockPcr(16);
    await expect(bindToNetwork(locked, networkId)).rejects.toMatchObject(badInput);
    const extended = openMockPlatform().nsm;
    await extended.extendPcr(16, Uint8Array.of(1));
    await expect(bindToNetwork(extended, networkId)).rejects.toMatchObject(badInput);
  });

  it('network binding: a module that does not lock is no module', async () => {
    const { nsm } = openMockPlatform();
    const loose: Nsm = {
      attest: (request) => nsm.attest(request),
      describePcr: (index) => nsm.describePcr(index),
      extendPcr: (index, data) => nsm.extendPcr(index, data),
      lockPcr: async () => {},
      random: (sizeBytes) => nsm.random(sizeBytes),
      describe: () => nsm.describe(),
    };
    await expect(bindToNetwork(loose, networkId)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});
