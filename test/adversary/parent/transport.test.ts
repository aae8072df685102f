import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAddress } from '../../../shared/address.ts';
import {
  type Conduct,
  corrupting,
  crossing,
  delaying,
  dropping,
  honest,
  inserting,
  misleading,
  refusing,
  reordering,
  repeating,
  swallowing,
  trickling,
  truncating,
} from '../../faults/conduct.ts';
import { HostileParent } from '../../faults/hostile-parent.ts';
import { freePort, type TestNode, TestNodes, until } from '../../unit/net/nodes.ts';
import { expectOnlyTls, expectUnseen } from './evidence.ts';

/**
 * Four enclaves' networking; the parent of the second is hostile, so that both its inbound and its outbound streams
 * pass through it. Whatever it does, every message arrives once, in order and unchanged, or not yet; and once it behaves,
 * all have arrived.
 */
let nodes: TestNodes;
let hostile: HostileParent;
let victim: TestNode;
/** The next message of each sender to the victim, and of the victim to each. */
const sent = new Map<string, Uint8Array[]>();
const secrets: Uint8Array[] = [];
const servers: Server[] = [];

beforeAll(async () => {
  nodes = await TestNodes.create(4);
  victim = nodes.nodes[1]!;
  await victim.relay.close();
  hostile = await openHostile();
  await nodes.joinAll();
});

afterAll(async () => {
  await hostile.close();
  await nodes.close();
  for (const server of servers) server.close();
});

function openHostile(): Promise<HostileParent> {
  return HostileParent.open({ socketDirectory: victim.directory, listen: parseAddress(victim.address) });
}

function send(from: TestNode, to: TestNode, sizeBytes: number): void {
  const payload = randomBytes(sizeBytes);
  const name = `${from.party}-${to.party}`;
  const all = sent.get(name) ?? [];
  all.push(payload);
  sent.set(name, all);
  secrets.push(payload);
  from.peers?.send(to.party, payload);
}

/** A share's worth of everything, both ways. */
function sendAll(): void {
  for (const other of nodes.nodes) {
    if (other === victim) continue;
    for (const sizeBytes of [64, 20_000, 200_000]) {
      send(other, victim, sizeBytes);
      send(victim, other, sizeBytes);
    }
  }
}

/** True if everything arrived. @throws if anything that arrived is not what was sent next */
function arrived(): boolean {
  for (const receiver of nodes.nodes) {
    for (const { from, payload } of receiver.received.splice(0)) {
      const next = sent.get(`${from}-${receiver.party}`)?.shift();
      expect(next && Buffer.compare(payload, next)).toBe(0);
    }
  }
  return [...sent.values()].every((payloads) => payloads.length === 0);
}

/** Behaves from now on: new connections come up, and everything arrives. */
async function recovers(): Promise<void> {
  hostile.conduct = honest;
  hostile.cutAll();
  const before = hostile.recordings.length;
  await until(() => hostile.recordings.length >= before + 3 && victim.peers?.connected().length === 3);
  await until(arrived);
}

/** Nothing but ciphertext has passed. */
function noLeak(): void {
  expectOnlyTls(hostile.recordings);
  expectUnseen(hostile.recordings, secrets);
  hostile.recordings.length = 0;
  secrets.length = 0;
}

const failedDials = (): number => victim.log.filter(({ event }) => event === 'dial-failed').length;

/** One after the other, without a pause in which anybody could recover. */
const campaigns: readonly (readonly Conduct[])[] = [
  [refusing, swallowing, trickling(1)],
  [dropping(3), corrupting(3), inserting],
  [delaying(60), reordering, repeating, crossing()],
  [truncating(1), truncating(4_000), truncating(60_000)],
];
const named = campaigns.map((conducts) => [conducts.map(({ name }) => name).join(', '), conducts] as const);

describe('hostile parent', () => {
  it.each(named)('hostile parent: %s: nothing is lost, changed, doubled or seen', async (_name, conducts) => {
    for (const conduct of conducts) {
      hostile.conduct = conduct;
      sendAll();
      await sleep(150);
      hostile.cutAll();
      sendAll();
      await sleep(250);
      arrived();
    }
    await recovers();
    noLeak();
  });

  it('hostile parent: connects to another node than asked: nobody takes it for the one that was meant', async () => {
    const [first, , third] = nodes.nodes;
    const other = (asked: string): string => (asked === third!.address ? first!.address : third!.address);
    hostile.conduct = misleading(other);
    hostile.cutAll();
    sendAll();
    const before = failedDials();
    await until(() => failedDials() > before + 1);
    // The first party dials the victim; only the stream that the victim dials is led astray.
    expect(victim.peers?.connected()).not.toContain(third!.party);
    arrived();
    await recovers();
    noLeak();
  });

  it('hostile parent: connects the enclave to itself, or to a server of its own that says anything', async () => {
    const words = [
      randomBytes(2_000),
      Buffer.from('HTTP/1.1 200 OK\r\n\r\n'),
      Buffer.from([22, 3, 3, 0, 2, 2, 0]),
    ];
    let greeted = 0;
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.write(words[greeted++ % words.length] ?? '');
    });
    servers.push(server);
    const port = await freePort();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    for (const to of [`127.0.0.1:${port}`, victim.address]) {
      hostile.conduct = misleading(() => to);
      hostile.cutAll();
      const before = failedDials();
      await until(() => failedDials() > before + 1);
      expect(victim.peers?.connected()).not.toContain(3);
    }
    sendAll();
    await recovers();
    noLeak();
  });

  it('hostile parent: recorded connections, played again, say nothing to anybody', async () => {
    await recovers();
    sendAll();
    await until(arrived);
    const inbound = hostile.recordings.filter(({ direction }) => direction === 'inbound');
    expect(inbound.length).toBeGreaterThan(0);
    for (const { fromOutside } of inbound) {
      for (const as of ['ingress', 'members'] as const) {
        const stream = await hostile.intrude(as);
        const ended = new Promise((resolve) => stream.once('close', resolve));
        stream.resume().write(Buffer.concat(fromOutside));
        await ended;
      }
    }
    expect(victim.received.length).toBe(0);
    await recovers();
    noLeak();
  });

  it('hostile parent: floods of connections, garbage, half-open handshakes and slow bytes pass', async () => {
    await recovers();
    const hello = hostile.recordings.find(({ direction }) => direction === 'inbound');
    const clientHello = Buffer.concat(hello?.fromOutside ?? []).subarray(0, 1_800);
    expect(clientHello[0]).toBe(22);
    const streams = await Promise.all(
      Array.from({ length: 300 }, (_, i) => hostile.intrude(i % 2 === 0 ? 'ingress' : 'members')),
    );
    const floods = [
      ...streams.slice(0, 60).map((stream) => stream.write(randomBytes(30_000))),
      ...streams.slice(60, 160).map((stream) => stream.write(clientHello)),
      ...streams.slice(160, 220).map((stream) => stream.write(clientHello.subarray(0, 1))),
    ];
    expect(floods.length).toBe(220);
    // Streams that exist are not disturbed.
    sendAll();
    await until(arrived);
    await until(() =>
      victim.log.some(({ reason }) => reason === 'connection-limit' || reason === 'handshake-rate'),
    );
    for (const stream of streams) stream.destroy();
    hostile.cutAll();
    await recovers();
    noLeak();
  });

  it('hostile parent: restarts again and again in the middle', async () => {
    for (let i = 0; i < 4; i++) {
      sendAll();
      await sleep(30 * i);
      await hostile.close();
      noLeak();
      sendAll();
      hostile = await openHostile();
    }
    await recovers();
    noLeak();
  });
});
