import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { connect, type TLSSocket } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { NodeChannel } from '../../../client/node-channel.ts';
import { trustIn, unconditionally } from '../../../client/node-trust.ts';
import { Credentials, type TlsIdentity } from '../../../enclave/net/credentials.ts';
import { HANDSHAKE_LIMITS, HandshakeBudget } from '../../../enclave/net/handshake-budget.ts';
import { Ingress } from '../../../enclave/net/ingress.ts';
import { TLS_POLICY } from '../../../enclave/net/tls-policy.ts';
import { ed25519Signer, nodePrimitives, systemRng } from '../../../enclave/primitives.ts';
import { readNodeCertificate } from '../../../shared/attestation/certificate.ts';
import { parseUnverifiedDocument } from '../../../shared/attestation/document.ts';
import { codeOf } from '../../../shared/errors.ts';
import type { Link } from '../../../shared/link.ts';
import { attestedIdentity, boundNsm } from '../../simulator/attested.ts';
import { measurement } from '../../simulator/network.ts';
import { type Logged, recorder, type TestNode, TestNodes, tcp, until } from './nodes.ts';

let all: TestNodes | undefined;
const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await all?.close();
  all = undefined;
});

async function joined(): Promise<TestNodes> {
  all = await TestNodes.create(4);
  await all.joinAll();
  return all;
}

async function dialAs({ address }: TestNode, identity: Partial<TlsIdentity>): Promise<TLSSocket> {
  const stream = await tcp(address);
  const socket = connect({
    socket: stream,
    ...TLS_POLICY,
    ...identity,
    ALPNProtocols: ['h2'],
    rejectUnauthorized: false,
  });
  socket.on('error', () => {});
  sockets.push(socket);
  return socket;
}

/** True if the node closes the connection before it speaks HTTP/2. */
async function isRefused(socket: TLSSocket): Promise<boolean> {
  let spoke = false;
  socket.on('data', () => {
    spoke = true;
  });
  await until(() => socket.destroyed || spoke);
  return !spoke;
}

function refusals({ log }: TestNode, code: string): number {
  return log.filter((line) => line.event === 'connection-refused' && line.code === code).length;
}

function documentIn({ cert }: TlsIdentity) {
  const der = Buffer.from(cert.replace(/-----[A-Z ]+-----|\s/g, ''), 'base64');
  return parseUnverifiedDocument(readNodeCertificate(der).document);
}

/** The other end never speaks. */
function mute(): Duplex {
  return new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
}

async function codeOfConnecting(channel: NodeChannel): Promise<string> {
  try {
    await channel.client();
    return 'connected';
  } catch (error) {
    return codeOf(error);
  } finally {
    channel.close();
  }
}

describe('ratls: peers', () => {
  it('ratls: a member whose enclave runs another image, or shows an old document, is refused before HTTP/2', async () => {
    const network = await joined();
    const [first, second] = network.nodes;
    const { networkId } = network;
    const old = (): number => Date.now() - 6 * 60_000;
    for (const options of [{ measurement: measurement(20) }, { nowMs: old }]) {
      const identity = await attestedIdentity(first!.signer, networkId, options);
      expect(await isRefused(await dialAs(second!, identity))).toBe(true);
    }
    expect(refusals(second!, 'BAD_ATTESTATION')).toBe(2);
    expect(await isRefused(await dialAs(second!, await attestedIdentity(first!.signer, networkId)))).toBe(
      false,
    );
  });

  it("ratls: another process's document, or its certificate without its key, gets nobody in", async () => {
    const network = await joined();
    const [first, second] = network.nodes;
    const { networkId } = network;
    const honest = await attestedIdentity(first!.signer, networkId);
    // The identity signs the thief's TLS key, but the document is of another key: an enclave's key on a host.
    const nsm = await boundNsm(networkId);
    const other = await Credentials.create(first!.signer, nodePrimitives, nsm);
    const borrowed = { ...nsm, attest: () => other.document(networkId) };
    const thief = await Credentials.create(first!.signer, nodePrimitives, borrowed);
    expect(await isRefused(await dialAs(second!, await thief.identityFor(networkId)))).toBe(true);
    expect(refusals(second!, 'BAD_ATTESTATION')).toBe(1);
    // The right certificate, and a key that is not its own: TLS itself.
    const stolen = { cert: honest.cert, key: (await attestedIdentity(first!.signer, networkId)).key };
    await expect(dialAs(second!, stolen)).rejects.toThrow('key values mismatch');
  });

  it('ratls: strangers are turned away before anything costly: their documents are never verified', async () => {
    const network = await joined();
    const [, second] = network.nodes;
    const identity = await attestedIdentity(ed25519Signer(systemRng(32)), network.networkId, {
      measurement: measurement(20),
    });
    expect(await isRefused(await dialAs(second!, identity))).toBe(true);
    expect(refusals(second!, 'BAD_PEER')).toBeGreaterThan(0);
    expect(refusals(second!, 'BAD_ATTESTATION')).toBe(0);
  });

  it('credentials: each certificate has a document of its own time for the same TLS key', async () => {
    let nowMs = Date.now() - 100_000;
    const signer = ed25519Signer(systemRng(32));
    const chain = (await joined()).networkId;
    const nsm = await boundNsm(chain, { nowMs: () => nowMs });
    const credentials = await Credentials.create(signer, nodePrimitives, nsm);
    const before = documentIn(await credentials.identityFor(chain));
    nowMs += 90_000;
    const after = documentIn(await credentials.identityFor(chain));
    expect(after.timestampMs - before.timestampMs).toBe(90_000);
    expect(after.publicKey).toEqual(before.publicKey);
    expect(after.publicKey).toEqual(credentials.spki);
  });
});

describe('ratls: clients', () => {
  it('ratls: a client believes an allowed image, and what merely runs only when it merely looks', async () => {
    const network = await joined();
    const [first] = network.nodes;
    const chain = network.chain();
    const place = { identity: first!.signer.publicKey, addresses: [first!.address] };
    expect(await codeOfConnecting(new NodeChannel(place, trustIn(chain)))).toBe('connected');
    const strict = { ...trustIn(chain), measurements: () => [measurement(20)] };
    expect(await codeOfConnecting(new NodeChannel(place, strict))).toBe('BAD_ATTESTATION');
    const looking = unconditionally(chain.networkId);
    expect(await codeOfConnecting(new NodeChannel(place, looking))).toBe('connected');
    expect(await codeOfConnecting(new NodeChannel(place, unconditionally()))).toBe('BAD_PEER');
    const late = { ...trustIn(chain), nowMs: () => Date.now() + 7 * 60_000 };
    expect(await codeOfConnecting(new NodeChannel(place, late))).toBe('BAD_ATTESTATION');
  });
});

describe('ratls: floods', () => {
  it('ratls: over budget streams are refused before TLS, streams that are up live on', async () => {
    const log: Logged[] = [];
    let onStream: (stream: Duplex) => void = () => {};
    let [listens, closes] = [0, 0];
    const link: Link<Duplex> = {
      listen: async (_service, listener) => {
        onStream = listener;
        listens += 1;
        return {
          close: async () => {
            closes += 1;
          },
        };
      },
      connect: () => Promise.reject(new Error('not here')),
    };
    const network = await joined();
    let nowMs = 0;
    const ingress = await Ingress.open({
      link,
      crypto: nodePrimitives,
      identity: await attestedIdentity(ed25519Signer(systemRng(32)), network.networkId),
      onClient: () => {},
      onPeer: () => {},
      log: recorder(log),
      limits: { maxHandshakes: 10_000, maxClients: 10_000 },
      budget: new HandshakeBudget(undefined, () => nowMs),
    });
    const streams: Duplex[] = [];
    const flood = (count: number): number => {
      const before = streams.filter(({ destroyed }) => !destroyed).length;
      for (let i = 0; i < count; i++) {
        const stream = mute();
        streams.push(stream);
        onStream(stream);
      }
      return streams.filter(({ destroyed }) => !destroyed).length - before;
    };
    expect(flood(400)).toBe(Math.floor(HANDSHAKE_LIMITS.burstMs / HANDSHAKE_LIMITS.costs.tlsMs));
    expect(flood(20)).toBe(0);
    // Refusing costs too: it does not even listen for a moment, and does not fill the log with it.
    expect([listens, closes]).toEqual([1, 1]);
    expect(log.filter((line) => line.reason === 'handshake-rate').map(({ event }) => event)).toEqual([
      'connection-refused',
      'ingress-paused',
    ]);
    await until(() => listens === 2);
    nowMs += 1_000;
    expect(flood(20)).toBe(10);
    await ingress.close();
    expect(network.nodes.every((node) => node.peers!.connected().length === 3)).toBe(true);
  });
});
