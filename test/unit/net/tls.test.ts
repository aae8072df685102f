import 'reflect-metadata';
import { createConnection, type Socket } from 'node:net';
import { type ConnectionOptions, connect, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { createClient } from '@connectrpc/connect';
import { X509CertificateGenerator } from '@peculiar/x509';
import { afterEach, describe, expect, it } from 'vitest';
import { Credentials, type TlsIdentity } from '../../../enclave/net/credentials.ts';
import { grpcOver } from '../../../enclave/net/http2.ts';
import { connectTls } from '../../../enclave/net/tls.ts';
import { TLS_POLICY } from '../../../enclave/net/tls-policy.ts';
import { ed25519Signer, nodePrimitives, systemRng } from '../../../enclave/primitives.ts';
import { NO_NETWORK, readNodeCertificate } from '../../../shared/attestation/certificate.ts';
import { type Digest, digest } from '../../../shared/ids.ts';
import type { Signer } from '../../../shared/primitives.ts';
import { NodeService } from '../../../shared/wire/generated/kms/v1/node_pb.js';
import { PeerService } from '../../../shared/wire/generated/kms/v1/peer_pb.js';
import { attestedIdentity, boundNsm, mockTrust } from '../../simulator/attested.ts';
import { freePort, type TestNode, TestNodes, tcp, until } from './nodes.ts';

let all: TestNodes | undefined;
const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await all?.close();
  all = undefined;
});

const otherNetwork: Digest = digest(`6d6f636b${'ab'.repeat(28)}`);

async function joined(): Promise<{ readonly nodes: readonly TestNode[]; readonly networkId: Digest }> {
  all = await TestNodes.create(4, {
    api: {
      describe: async () => ({
        identity: all!.nodes[0]!.signer.publicKey,
        network: undefined,
        bootKey: new Uint8Array(32),
        connectedPeers: [],
        keyIds: [],
        phase: 'test',
      }),
    },
  });
  await all.joinAll();
  return { nodes: all.nodes, networkId: all.networkId };
}

const identityOf = attestedIdentity;

async function credentialsOf(signer: Signer, networkId: Digest): Promise<Credentials> {
  return Credentials.create(signer, nodePrimitives, await boundNsm(networkId));
}

/** A TLS client that verifies nothing. */
async function raw(address: string, options: ConnectionOptions): Promise<TLSSocket> {
  const stream = await tcp(address);
  const base = { socket: stream, ...TLS_POLICY, ALPNProtocols: ['h2'], rejectUnauthorized: false };
  const socket = connect({ ...base, ...options });
  socket.on('error', () => {});
  sockets.push(socket);
  return socket;
}

/** How many certificates the node has refused since. */
function counting({ log }: TestNode): () => number {
  const count = (): number => log.filter((line) => line.reason === 'certificate').length;
  const before = count();
  return () => count() - before;
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

/** A server under this certificate, and a party's address to reach it at. */
async function impostor(identity: TlsIdentity | (TlsIdentity & { cert: string })): Promise<number> {
  const server = createTlsServer({ ...TLS_POLICY, ...identity, ALPNProtocols: ['h2'], requestCert: true });
  server.on('tlsClientError', () => {});
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  server.unref();
  server.on('secureConnection', (socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
  });
  return port;
}

async function dial(port: number, networkId: Digest, identity?: Uint8Array): Promise<unknown> {
  const stream = createConnection({ port, host: '127.0.0.1' });
  stream.on('error', () => {});
  sockets.push(stream);
  const trust = mockTrust(networkId);
  const { socket } = await connectTls(stream, undefined, nodePrimitives, trust, identity);
  sockets.push(socket);
  return socket;
}

describe('tls: who may come in', () => {
  it('tls: a client that offers classical groups only is refused', async () => {
    const { nodes } = await joined();
    for (const ecdhCurve of ['X25519', 'P-256', 'X25519:P-256:P-384']) {
      const socket = await raw(nodes[0]!.address, { ecdhCurve });
      expect(await isRefused(socket)).toBe(true);
    }
    const hybrid = await raw(nodes[0]!.address, { ecdhCurve: 'X25519:X25519MLKEM768' });
    expect(await isRefused(hybrid)).toBe(false);
  });

  it('tls: older protocol versions and connections without HTTP/2 are refused', async () => {
    const { nodes } = await joined();
    const old = await raw(nodes[0]!.address, {
      minVersion: 'TLSv1.2',
      maxVersion: 'TLSv1.2',
      ciphers: 'DEFAULT',
    });
    expect(await isRefused(old)).toBe(true);
    const plain = await raw(nodes[0]!.address, { ALPNProtocols: [] });
    expect(await isRefused(plain)).toBe(true);
  });

  it('tls: a member of this network may come in as a peer, a stranger and other networks may not', async () => {
    const { nodes, networkId } = await joined();
    const [first, second] = nodes;
    const refusals = counting(second!);
    const cases: readonly (readonly [Signer, Digest, boolean])[] = [
      [first!.signer, networkId, false],
      [ed25519Signer(systemRng(32)), networkId, true],
      [first!.signer, otherNetwork, true],
      [first!.signer, NO_NETWORK, true],
      // Nobody connects to himself.
      [second!.signer, networkId, true],
    ];
    for (const [signer, network, refused] of cases) {
      const socket = await raw(second!.address, await identityOf(signer, network));
      expect(await isRefused(socket)).toBe(refused);
    }
    expect(refusals()).toBe(4);
  });

  it('tls: a stolen binding under another TLS key, a chain, and a certificate without identity are refused', async () => {
    const { nodes, networkId } = await joined();
    const [first, second] = nodes;
    const refusals = counting(second!);
    const honest = await credentialsOf(first!.signer, networkId);
    // Another key under the same binding: what a thief of certificates can make.
    const thief = await credentialsOf(
      rebinding(first!.signer, await signatureIn(honest, networkId)),
      networkId,
    );
    expect(await isRefused(await raw(second!.address, await thief.identityFor(networkId)))).toBe(true);
    const chained = await honest.identityFor(networkId);
    const extra = await identityOf(ed25519Signer(systemRng(32)), networkId);
    const chain = { key: chained.key, cert: `${chained.cert}\n${extra.cert}` };
    expect(await isRefused(await raw(second!.address, chain))).toBe(true);
    expect(await isRefused(await raw(second!.address, await plainCertificate()))).toBe(true);
    expect(refusals()).toBe(3);
  });

  it('tls: a higher party may not dial a lower one', async () => {
    const { nodes, networkId } = await joined();
    const socket = await raw(nodes[0]!.address, await identityOf(nodes[3]!.signer, networkId));
    expect(await isRefused(socket)).toBe(true);
    expect(nodes[0]!.peers!.connected()).toHaveLength(3);
  });

  it('tls: clients get NodeService and not PeerService; peers get PeerService and not NodeService', async () => {
    const { nodes, networkId } = await joined();
    const [first, second] = nodes;
    const asClient = grpcOver(await secured(await raw(second!.address, {})));
    expect((await createClient(NodeService, asClient).describe({})).phase).toBe('test');
    await expect(exchangeOnce(asClient)).rejects.toMatchObject({ code: 12 });
    const own = await identityOf(first!.signer, networkId);
    const asPeer = grpcOver(await secured(await raw(second!.address, own)));
    await expect(createClient(NodeService, asPeer).describe({})).rejects.toMatchObject({ code: 12 });
  });

  it('tls: before joining nobody is a peer', async () => {
    all = await TestNodes.create(4);
    const networkId = all.networkId;
    const own = await identityOf(all.nodes[0]!.signer, networkId);
    expect(await isRefused(await raw(all.nodes[1]!.address, own))).toBe(true);
    expect(await isRefused(await raw(all.nodes[1]!.address, {}))).toBe(false);
  });
});

describe('tls: whom a node talks to', () => {
  it('tls: the server must be the party that the configuration names', async () => {
    const signer = ed25519Signer(systemRng(32));
    const port = await impostor(await identityOf(signer, otherNetwork));
    await dial(port, otherNetwork, signer.publicKey);
    const stranger = ed25519Signer(systemRng(32)).publicKey;
    await expect(dial(port, otherNetwork, stranger)).rejects.toMatchObject({ code: 'BAD_PEER' });
    await expect(dial(port, NO_NETWORK, signer.publicKey)).rejects.toMatchObject({ code: 'BAD_PEER' });
  });

  it('tls: a server with a chain, or with a stolen binding, is not believed', async () => {
    const signer = ed25519Signer(systemRng(32));
    const honest = await credentialsOf(signer, otherNetwork);
    const own = await honest.identityFor(otherNetwork);
    const extra = await identityOf(ed25519Signer(systemRng(32)), otherNetwork);
    const chain = await impostor({ key: own.key, cert: `${own.cert}\n${extra.cert}` });
    await expect(dial(chain, otherNetwork)).rejects.toMatchObject({ code: 'BAD_PEER' });
    const signature = await signatureIn(honest, otherNetwork);
    const stolen = await impostor(await identityOf(rebinding(signer, signature), otherNetwork));
    await expect(dial(stolen, otherNetwork)).rejects.toMatchObject({ code: 'BAD_PEER' });
  });

  it('tls: a server that only knows classical groups is not talked to', async () => {
    const own = await identityOf(ed25519Signer(systemRng(32)), otherNetwork);
    const server = createTlsServer({ ...TLS_POLICY, ...own, ecdhCurve: 'X25519', ALPNProtocols: ['h2'] });
    server.on('tlsClientError', () => {});
    const port = await freePort();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    await expect(dial(port, otherNetwork)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    server.close();
  });

  it('tls: peers of different networks never connect', async () => {
    all = await TestNodes.create(4);
    const [first, ...others] = all.nodes;
    await all.join(first!, all.chain({ name: 'another' }));
    for (const node of others) await all.join(node);
    await until(() => others.every((node) => node.peers!.connected().length === 2));
    await until(() => first!.log.filter((line) => line.code === 'BAD_PEER').length >= 3);
    expect(first!.peers!.connected()).toEqual([]);
  });
});

async function secured(socket: TLSSocket): Promise<TLSSocket> {
  await new Promise((resolve) => socket.once('secureConnect', resolve));
  return socket;
}

async function exchangeOnce(transport: ReturnType<typeof grpcOver>): Promise<void> {
  async function* nothing() {}
  for await (const _ of createClient(PeerService, transport).exchange(nothing())) return;
}

/** A signer that always gives the signature it saw: all that a thief has. */
function rebinding(victim: Signer, signature: Uint8Array): Signer {
  return { publicKey: victim.publicKey, sign: () => signature };
}

async function signatureIn(credentials: Credentials, networkId: Digest): Promise<Uint8Array> {
  const { cert } = await credentials.identityFor(networkId);
  const der = Buffer.from(cert.replace(/-----[A-Z ]+-----|\s/g, ''), 'base64');
  return readNodeCertificate(der).binding.signature;
}

/** Self-signed, without a node identity. */
async function plainCertificate(): Promise<TlsIdentity> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const cert = await X509CertificateGenerator.createSelfSigned(
    { name: 'CN=nobody', signingAlgorithm: algorithm, keys },
    crypto,
  );
  const key = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return {
    key: Buffer.from(`-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`),
    cert: cert.toString('pem'),
  };
}
