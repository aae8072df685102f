import { beforeEach, describe, expect, it } from 'vitest';
import { Vigil } from '../../../enclave/membership/vigil.ts';
import { Credentials } from '../../../enclave/net/credentials.ts';
import type { Line } from '../../../enclave/net/line.ts';
import { ed25519Signer, nodePrimitives, systemRng } from '../../../enclave/primitives.ts';
import { readNodeCertificate } from '../../../shared/attestation/certificate.ts';
import { type VerifiedNode, verifyNode } from '../../../shared/attestation/node-evidence.ts';
import { digest, partyId } from '../../../shared/ids.ts';
import { silent } from '../../../shared/log.ts';
import type { MembershipMessage } from '../../../shared/membership/messages.ts';
import type { Measurement } from '../../../shared/network/measurement.ts';
import { boundNsm, mockTrust } from '../../simulator/attested.ts';
import { measurement } from '../../simulator/network.ts';

const networkId = digest(`6d6f636b${'cd'.repeat(28)}`);
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

let nowMs: number;
let allowed: readonly Measurement[];
let vigil: Vigil;
let peer: Credentials;
let node: VerifiedNode;
let told: MembershipMessage[];
let closed: string[];
let line: Line;

/** The peer's certificate, read and verified as in a handshake. */
async function handshake(credentials: Credentials): Promise<VerifiedNode> {
  const { cert } = await credentials.identityFor(networkId);
  const der = Buffer.from(cert.replace(/-----[A-Z ]+-----|\s/g, ''), 'base64');
  const { binding, spki, document } = readNodeCertificate(der);
  const claim = { identity: binding.identity, spki, document };
  return verifyNode(nodePrimitives, mockTrust(networkId), claim);
}

/** A line to a process that is not there. */
function lineTo(of: VerifiedNode): Line {
  const fake: Pick<Line, 'party' | 'node' | 'disconnect'> = {
    party: partyId(2),
    node: of,
    disconnect: (reason) => {
      closed.push(reason);
    },
  };
  return fake as Line;
}

beforeEach(async () => {
  nowMs = 0;
  allowed = [measurement(10)];
  told = [];
  closed = [];
  const signer = ed25519Signer(systemRng(32));
  peer = await Credentials.create(signer, nodePrimitives, await boundNsm(networkId));
  node = await handshake(peer);
  line = lineTo(node);
  vigil = new Vigil({
    hashes: nodePrimitives,
    rng: systemRng,
    log: silent,
    trust: mockTrust(networkId, { measurements: () => allowed }),
    monotonicMs: () => nowMs,
    document: (nonce) => peer.document(networkId, nonce),
    tell: (_line, message) => told.push(message),
  });
  vigil.tick(line);
});

function askedNonce(): Uint8Array {
  const message = told.at(-1);
  if (message?.kind !== 'attestation-asked') throw new Error('nothing was asked');
  return message.nonce;
}

async function pass(ms: number): Promise<void> {
  nowMs += ms;
  vigil.tick(line);
}

describe('vigil', () => {
  it('vigil: asks after an hour, and an answer keeps the stream for as long again', async () => {
    await pass(HOUR_MS - 1);
    expect(told).toEqual([]);
    for (let hour = 0; hour < 4; hour++) {
      await pass(hour === 0 ? 1 : HOUR_MS);
      await vigil.shown(line, await peer.document(networkId, askedNonce()));
    }
    expect(told).toHaveLength(4);
    expect(closed).toEqual([]);
  });

  it('vigil: a stream whose peer shows nothing for 75 minutes is closed, after it was asked more than once', async () => {
    for (let minute = 0; minute < 75; minute++) await pass(MINUTE_MS);
    expect(closed).toEqual([]);
    expect(told.length).toBeGreaterThan(10);
    await pass(1);
    expect(closed).toEqual(['attestation-expired']);
  });

  it('vigil: a document without the nonce, of another key or replayed closes the stream', async () => {
    const stranger = await Credentials.create(
      ed25519Signer(systemRng(32)),
      nodePrimitives,
      await boundNsm(networkId),
    );
    const bad = [
      () => peer.document(networkId),
      () => peer.document(networkId, systemRng(32)),
      () => stranger.document(networkId, askedNonce()),
      async () => systemRng(100),
    ];
    for (const [i, make] of bad.entries()) {
      await pass(HOUR_MS);
      await vigil.shown(line, await make());
      expect(closed).toHaveLength(i + 1);
      // Whoever connects anew is watched anew.
      node = await handshake(peer);
      line = lineTo(node);
      vigil.tick(line);
    }
    await pass(HOUR_MS);
    const document = await peer.document(networkId, askedNonce());
    await vigil.shown(line, document);
    nowMs += HOUR_MS;
    vigil.tick(line);
    await vigil.shown(line, document);
    expect(closed).toEqual(['attestation', 'attestation', 'attestation', 'attestation', 'attestation']);
  });

  it('vigil: an answer that comes after its question was repeated counts, each once', async () => {
    await pass(HOUR_MS);
    const first = await peer.document(networkId, askedNonce());
    await pass(MINUTE_MS);
    const second = await peer.document(networkId, askedNonce());
    await pass(MINUTE_MS);
    expect(told).toHaveLength(3);
    await vigil.shown(line, second);
    await vigil.shown(line, first);
    expect(closed).toEqual([]);
    await vigil.shown(line, first);
    expect(closed).toEqual(['attestation']);
  });

  it('vigil: an answer that was kept back keeps the stream no longer than one given at once', async () => {
    await pass(HOUR_MS);
    const document = await peer.document(networkId, askedNonce());
    await pass(14 * MINUTE_MS);
    await vigil.shown(line, document);
    await pass(61 * MINUTE_MS);
    expect(closed).toEqual([]);
    await pass(1);
    expect(closed).toEqual(['attestation-expired']);
  });

  it('vigil: an answer that was not asked for is not even looked at', async () => {
    await vigil.shown(line, systemRng(100));
    expect(closed).toEqual([]);
  });

  it('vigil: an image that is not allowed any more is dropped at once', async () => {
    allowed = [measurement(20)];
    await pass(1);
    allowed = [];
    await pass(1);
    expect(closed).toEqual(['attestation', 'attestation']);
  });

  it('vigil: gives a document with the nonce, but not as often as somebody likes', async () => {
    const nonce = systemRng(32);
    for (let i = 0; i < 5; i++) await vigil.asked(line, nonce);
    expect(told).toHaveLength(1);
    const [shown] = told;
    if (shown?.kind !== 'attestation-shown') throw new Error('nothing was shown');
    const claim = { identity: node.identity, spki: node.spki, document: shown.document };
    await verifyNode(nodePrimitives, mockTrust(networkId), claim, { kind: 'nonce', nonce });
    await pass(MINUTE_MS);
    await vigil.asked(line, nonce);
    expect(told).toHaveLength(2);
  });
});
