import { mkdtemp, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UnixLink as EnclaveLink } from '../../../enclave/link/unix.ts';
import { probe } from '../../../parent/health.ts';
import { UnixLink } from '../../../parent/link/unix.ts';
import { Relay } from '../../../parent/relay.ts';
import { StatusServer } from '../../../parent/status.ts';
import type { Address } from '../../../shared/address.ts';
import { silent } from '../../../shared/log.ts';
import { freePort, TestNodes, tcp, until } from '../net/nodes.ts';

let directory = '';
let listen: Address = { host: '127.0.0.1', port: 1 };
let relay: Relay | undefined;
let status: StatusServer | undefined;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kms-health-'));
  listen = { host: '127.0.0.1', port: await freePort() };
});

afterEach(async () => {
  status?.close();
  await relay?.close();
  relay = undefined;
  await rm(directory, { recursive: true, force: true });
});

async function parent(): Promise<Relay> {
  const none = async (): Promise<ReadonlySet<string>> => new Set();
  relay = await Relay.open({ link: new UnixLink(directory), listen, allowed: none, log: silent });
  return relay;
}

describe('health', () => {
  it('health: says which of the two does not answer', async () => {
    expect(await probe(listen)).toMatchObject({
      ok: false,
      reason: expect.stringMatching(/does not accept/),
    });
    await parent();
    expect(await probe(listen)).toMatchObject({
      ok: false,
      reason: expect.stringMatching(/no enclave answers/),
    });
    const link = new EnclaveLink(directory);
    const listener = await link.listen('ingress', (stream) => stream.on('error', () => {}).end('not TLS'));
    expect((await probe(listen)).ok).toBe(false);
    await listener.close();
  });

  it('health: is good only if the enclave describes itself through the relay', async () => {
    const describeNode = async () => ({
      ...{
        identity: new Uint8Array(32),
        network: undefined,
        bootKey: new Uint8Array(32),
        connectedPeers: [],
        keyIds: [],
      },
      phase: 'unjoined' as const,
    });
    let failing = false;
    const nodes = await TestNodes.create(1, {
      api: {
        describe: () => (failing ? Promise.reject(new Error('broken')) : describeNode()),
      },
    });
    try {
      const [host, port] = nodes.nodes[0]!.address.split(':');
      const where = { host: host!, port: Number(port) };
      expect(await probe(where)).toEqual({ ok: true, phase: 'unjoined', connectedPeers: 0 });
      failing = true;
      expect(await probe(where)).toMatchObject({ ok: false, reason: expect.stringMatching(/error/) });
    } finally {
      await nodes.close();
    }
  });

  it('health: GET /health and /metrics say so; nothing else is served', async () => {
    let healthy = true;
    let asked = 0;
    status = await StatusServer.open({
      listen,
      metrics: () => 'kms_parent_x 1\n',
      health: async () => {
        asked += 1;
        return healthy ? { ok: true, phase: 'ready', connectedPeers: 3 } : { ok: false, reason: 'away' };
      },
    });
    const at = (path: string): string => `http://${listen.host}:${listen.port}${path}`;
    const good = await fetch(at('/health'));
    expect([good.status, await good.json()]).toEqual([200, { ok: true, phase: 'ready', connectedPeers: 3 }]);
    // The answer is kept for a moment: asking often costs the enclave nothing.
    await fetch(at('/health'));
    expect(asked).toBe(1);
    const metrics = await fetch(at('/metrics'));
    expect([metrics.status, await metrics.text()]).toEqual([200, 'kms_parent_x 1\n']);
    expect(metrics.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    expect((await fetch(at('/'))).status).toBe(404);
    expect((await fetch(at('/health'), { method: 'POST' })).status).toBe(405);
    status.close();
    healthy = false;
    status = await StatusServer.open({
      ...{ listen, metrics: () => '' },
      health: async () => ({ ok: false, reason: 'away' }),
    });
    const bad = await fetch(at('/health'));
    expect([bad.status, await bad.json()]).toEqual([503, { ok: false, reason: 'away' }]);
  });
});

describe('draining', () => {
  it('draining: port and link are free at once, quiet connections end, busy ones have until the bound', async () => {
    const inside: Socket[] = [];
    await new EnclaveLink(directory).listen('ingress', (stream) => {
      inside.push(stream.on('error', () => {}));
      stream.resume();
    });
    const old = await parent();
    const address = `${listen.host}:${listen.port}`;
    const [quiet, busy] = [(await tcp(address)).resume(), (await tcp(address)).resume()];
    await until(() => inside.length === 2);
    const talk = setInterval(() => busy.write('x'), 20);
    let drained = false;
    const draining = old.drain(1_500).then(() => {
      drained = true;
    });
    const next = await parent();
    expect(drained).toBe(false);
    await until(() => quiet.destroyed);
    expect([busy.destroyed, drained]).toEqual([false, false]);
    await draining;
    await until(() => busy.destroyed);
    clearInterval(talk);
    const fresh = await tcp(address);
    await until(() => inside.length === 3);
    fresh.destroy();
    expect(next.counters.accepted).toBe(1);
  });

  it('draining: what one side sent before it ended still arrives', async () => {
    const sent = Buffer.alloc(3_000_000, 7);
    await new EnclaveLink(directory).listen('ingress', (stream) => stream.on('error', () => {}).end(sent));
    await parent();
    const socket = await tcp(`${listen.host}:${listen.port}`);
    let received = 0;
    socket.on('data', (chunk: Buffer) => {
      received += chunk.length;
      socket.pause();
      setTimeout(() => socket.resume(), 2);
    });
    await new Promise((resolve) => socket.once('close', resolve));
    expect(received).toBe(sent.length);
  });
});
