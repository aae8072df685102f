import 'reflect-metadata';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Duplex, duplexPair } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, createServer } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { X509Certificate, X509CertificateGenerator } from '@peculiar/x509';
import type { TlsIdentity } from '../../enclave/net/credentials.ts';
import { HANDSHAKE_LIMITS, HandshakeBudget } from '../../enclave/net/handshake-budget.ts';
import { Ingress } from '../../enclave/net/ingress.ts';
import { Roster } from '../../enclave/net/roster.ts';
import { connectTls } from '../../enclave/net/tls.ts';
import { TLS_POLICY } from '../../enclave/net/tls-policy.ts';
import { nodePrimitives } from '../../enclave/primitives.ts';
import { readDestination } from '../../parent/destination.ts';
import { UnixLink as ParentLink } from '../../parent/link/unix.ts';
import type { NodeTrust } from '../../shared/attestation/node-evidence.ts';
import type { Link, Listener } from '../../shared/link.ts';
import { silent } from '../../shared/log.ts';
import { attestedIdentity, mockTrust } from '../simulator/attested.ts';
import { foundedChain } from '../simulator/network.ts';
import { type Job, timed, wallSeconds } from './job.ts';
import { BENCHED, benchMembers, benchSigner } from './ratls-network.ts';

/** Attested TLS between two members, and what somebody who does nothing but begin it costs an enclave. */
export function ratlsJobs(): readonly Job[] {
  return [
    handshakes('ratls-handshake', 'attested TLS handshake, both ends together, chains known', 25, true),
    handshakes(
      'ratls-handshake-cold',
      'the same between nodes that meet for the first time',
      undefined,
      false,
    ),
    flood('ratls-flood-stream', 'streams that say nothing', async () => undefined),
    flood('ratls-flood-client', 'clients that finish TLS and go', async () => ({})),
    flood(
      'ratls-flood-dial',
      'a parent that answers for all peers, with certificates of its own',
      async () => ({}),
      {
        answers: true,
      },
    ),
    flood('ratls-flood-peer', 'a member that shows an old document again and again', staleIdentity),
  ];
}

const ATTEMPTS_AT_ONCE = 8;
const SETTLE_MS = 1_000;
const FLOOD_SECONDS = 4;

function handshakes(name: string, about: string, target: number | undefined, cached: boolean): Job {
  const figure = { name, unit: 'ms', about } as const;
  return timed(target === undefined ? figure : { ...figure, target }, { runs: 15, calls: 4 }, () => {
    const ends = bothEnds(cached);
    return async () => (await ends)();
  });
}

/** @returns one handshake: this process is both nodes */
async function bothEnds(cached: boolean): Promise<() => Promise<void>> {
  const chain = foundedChain(benchMembers());
  const { networkId } = chain;
  const [dialler, listener] = [benchSigner(2), benchSigner(BENCHED)];
  const own = await attestedIdentity(dialler, networkId);
  const identity = await attestedIdentity(listener, networkId);
  // All runs are at this moment: a whole bench takes longer than a document lives.
  const nowMs = Date.now();
  const freshTrust = (): NodeTrust => mockTrust(networkId, { nowMs: () => nowMs });
  const kept = { dial: freshTrust(), accept: freshTrust() };
  let onStream: (stream: Duplex) => void = () => {};
  const link: Link<Duplex> = {
    listen: async (_service, on) => {
      onStream = on;
      return { close: async () => {} };
    },
    connect: () => Promise.reject(new Error('not here')),
  };
  let accepted: () => void = () => {};
  const ingress = await Ingress.open({
    link,
    crypto: nodePrimitives,
    identity,
    onClient: () => {},
    onPeer: () => accepted(),
    log: silent,
    budget: new HandshakeBudget({ ...HANDSHAKE_LIMITS, share: 1e6, memberShare: 1e6 }),
  });
  const roster = new Roster(networkId, listener.publicKey, () => chain.validAt(0));
  return async () => {
    const trusts = cached ? kept : { dial: freshTrust(), accept: freshTrust() };
    ingress.join({ roster, trust: trusts.accept });
    const [near, far] = duplexPair();
    const isAccepted = new Promise<void>((resolve) => {
      accepted = resolve;
    });
    onStream(far);
    const { socket } = await connectTls(near, own, nodePrimitives, trusts.dial, listener.publicKey);
    await isAccepted;
    socket.destroy();
    far.destroy();
  };
}

async function staleIdentity(): Promise<Partial<TlsIdentity>> {
  const { networkId } = foundedChain(benchMembers());
  return attestedIdentity(benchSigner(2), networkId, { nowMs: () => Date.now() - 600_000 });
}

/**
 * The share of a core that an enclave's ingress uses while another process opens streams as fast as it can.
 * @param identityOf what it shows in TLS; undefined: it says nothing at all
 * @param options.answers it takes the place of every peer that the enclave dials as well
 */
function flood(
  name: string,
  what: string,
  identityOf: () => Promise<Partial<TlsIdentity> | undefined>,
  { answers = false }: { readonly answers?: boolean } = {},
): Job {
  return {
    figures: [
      {
        ...{ name: `${name}-percent`, unit: 'percent', target: 5 },
        about: `of a core of the enclave's, under ${what}`,
      },
    ],
    ...{ warmUps: 0, runs: 2, seconds: 2 * (FLOOD_SECONDS + 2) },
    prepare: () => async () => {
      const directory = mkdtempSync(join(tmpdir(), 'kms-ratls-'));
      const answering = answers ? await answerAll(directory) : undefined;
      const end = await start(directory);
      const path = join(directory, 'ingress.sock');
      const identity = await identityOf();
      let isOver = false;
      const attack = async (): Promise<void> => {
        while (!isOver) {
          await attempt(path, identity);
        }
      };
      const attackers = Array.from({ length: ATTEMPTS_AT_ONCE }, attack);
      await sleep(SETTLE_MS);
      const [cpuBefore, wallBefore] = [await end.cpuUs(), wallSeconds()];
      await sleep(FLOOD_SECONDS * 1000);
      const [cpuUs, seconds] = [(await end.cpuUs()) - cpuBefore, wallSeconds() - wallBefore];
      isOver = true;
      await Promise.all(attackers);
      end.stop();
      await answering?.close();
      rmSync(directory, { recursive: true, force: true });
      return [cpuUs / seconds / 1e4];
    },
  };
}

/**
 * A parent that ends TLS for every peer itself: with a key of its own, and what it has recorded of that peer's certificate.
 * The enclave finds out when it has parsed the certificate and checked a signature.
 */
async function answerAll(directory: string): Promise<Listener> {
  const chain = foundedChain(benchMembers());
  const identities = await Promise.all(
    benchMembers().map(async ({ address }, i) => {
      const recorded = await attestedIdentity(benchSigner(i + 1), chain.networkId);
      return [address, await forgedIdentity(recorded)] as const;
    }),
  );
  const contexts = new Map(identities);
  const server = createServer({
    ...TLS_POLICY,
    ALPNProtocols: ['h2'],
    requestCert: true,
    rejectUnauthorized: false,
  });
  server.on('secureConnection', (socket) => socket.on('error', () => {}).resume());
  return new ParentLink(directory).listen('egress', (stream) => {
    stream.on('error', () => stream.destroy());
    void readDestination(stream, 5_000).then(
      (destination) => {
        const context = destination.kind === 'address' ? contexts.get(destination.text) : undefined;
        if (context === undefined) stream.destroy();
        else {
          server.setSecureContext({ ...TLS_POLICY, ...context });
          server.emit('connection', stream);
        }
      },
      () => stream.destroy(),
    );
  });
}

/** The same extensions over another key. */
async function forgedIdentity({ cert }: TlsIdentity): Promise<TlsIdentity> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const recorded = new X509Certificate(cert);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    ...{ serialNumber: '01', name: 'CN=kms-node', signingAlgorithm: algorithm, keys },
    extensions: recorded.extensions,
  });
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  const key = Buffer.from(`-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`);
  return { key, cert: certificate.toString('pem') };
}

/** Ends when the enclave has closed, or TLS is done. */
async function attempt(path: string, identity: Partial<TlsIdentity> | undefined): Promise<void> {
  const stream = createConnection({ path });
  stream.on('error', () => {});
  const closed = once(stream, 'close').catch(() => undefined);
  if (identity === undefined) {
    stream.end();
    stream.resume();
  } else {
    const socket = connect({
      ...TLS_POLICY,
      ...identity,
      socket: stream,
      ALPNProtocols: ['h2'],
      rejectUnauthorized: false,
    });
    socket.on('error', () => {});
    socket.resume();
  }
  await Promise.race([closed, sleep(5_000)]);
  stream.destroy();
}

interface End {
  cpuUs(): Promise<number>;
  stop(): void;
}

async function start(directory: string): Promise<End> {
  const file = fileURLToPath(new URL('ratls-end.ts', import.meta.url));
  const child: ChildProcess = spawn(process.execPath, [file, directory], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  process.once('exit', () => child.kill('SIGKILL'));
  const cpuUs = async (): Promise<number> => {
    child.stdin?.write('\n');
    const [line] = await once(child.stdout!, 'data');
    return Number(String(line).trim());
  };
  // The first answer comes when it listens.
  await cpuUs();
  return { cpuUs, stop: () => child.kill('SIGKILL') };
}
