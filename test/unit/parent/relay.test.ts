import { mkdtempSync, rmSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { UnixLink as EnclaveLink } from '../../../enclave/link/unix.ts';
import { readParentConfig } from '../../../parent/config.ts';
import { UnixLink } from '../../../parent/link/unix.ts';
import type { SpliceAddon } from '../../../parent/native/splice-addon.ts';
import { LARGE_BUFFERS_BYTES, Relay, type RelayLimits } from '../../../parent/relay.ts';
import { SPLICE_BUFFER_BYTES } from '../../../parent/splice.ts';
import { parseAddress } from '../../../shared/address.ts';
import { egressLine, MAX_EGRESS_LINE_BYTES, readEgressLine } from '../../../shared/egress.ts';
import { silent } from '../../../shared/log.ts';
import { concat, utf8 } from '../../../shared/wire/bytes.ts';
import { builtSplice, canBuild } from '../native/built.ts';
import { freePort, type Logged, recorder, tcp, until } from '../net/nodes.ts';

const limits: Partial<RelayLimits> = { maxInbound: 3, maxOutbound: 2, idleMs: 60_000, connectMs: 1_000 };

let directory = '';
let address = '';
let relay: Relay | undefined;
let addon: SpliceAddon | undefined;
let log: Logged[] = [];
const servers: Server[] = [];
const sockets: Socket[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kms-relay-'));
  address = `127.0.0.1:${await freePort()}`;
  log = [];
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
  await relay?.close();
  relay = undefined;
  await rm(directory, { recursive: true, force: true });
});

async function start(
  allowed: readonly string[] = [],
  change: Partial<RelayLimits> = {},
  isMember: (address: string) => boolean = () => false,
): Promise<void> {
  relay = await Relay.open({
    link: new UnixLink(directory),
    listen: parseAddress(address),
    allowed: async () => new Set(allowed),
    ...{ log: recorder(log), isMember },
    limits: { ...limits, ...change },
    addon,
  });
}

/** The enclave's side: every inbound stream goes to the handler. */
async function enclave(
  onStream: (stream: Socket) => void,
  service: 'ingress' | 'members' = 'ingress',
): Promise<EnclaveLink> {
  const link = new EnclaveLink(directory);
  await link.listen(service, (stream) => {
    stream.on('error', () => {});
    sockets.push(stream);
    onStream(stream);
  });
  return link;
}

/** A TCP server outside, and its address. */
async function outside(onSocket: (socket: Socket) => void): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    sockets.push(socket);
    onSocket(socket);
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  servers.push(server);
  return `127.0.0.1:${port}`;
}

async function client(): Promise<Socket> {
  const socket = await tcp(address);
  sockets.push(socket);
  return socket;
}

function collect(socket: Socket): { bytes: Buffer } {
  const all = { bytes: Buffer.alloc(0) };
  socket.on('data', (chunk: Buffer) => {
    all.bytes = Buffer.concat([all.bytes, chunk]);
  });
  return all;
}

describe.each(canBuild ? ['this process', 'the kernel'] : ['this process'])('relay by %s', (who) => {
  const built = mkdtempSync(join(tmpdir(), 'kms-relay-'));
  beforeAll(() => {
    addon = who === 'the kernel' ? builtSplice(join(built, 'splice.node')) : undefined;
  });
  afterAll(() => rmSync(built, { recursive: true, force: true }));

  it('relay: carries bytes both ways between the port and the enclave', async () => {
    await enclave((stream) => stream.pipe(stream));
    await start();
    const socket = await client();
    const back = collect(socket);
    const sent = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, i) => i * 7));
    socket.write(sent);
    await until(() => back.bytes.length === sent.length);
    expect(back.bytes.equals(sent)).toBe(true);
  });

  it('relay: the end of either side is the end of both', async () => {
    const inside: Socket[] = [];
    await enclave((stream) => inside.push(stream.resume()));
    await start();
    const first = (await client()).resume();
    await until(() => inside.length === 1);
    first.destroy();
    await until(() => inside[0]!.destroyed);
    const second = (await client()).resume();
    await until(() => inside.length === 2);
    inside[1]!.destroy();
    await until(() => second.destroyed);
  });

  it('relay: carries the enclave to an allowed address, with the bytes that came with the line', async () => {
    const received: { bytes: Buffer }[] = [];
    const target = await outside((socket) => received.push(collect(socket)));
    await start([target]);
    const stream = await new EnclaveLink(directory).connect('egress');
    sockets.push(stream);
    stream.write(concat(egressLine(target), utf8('first bytes')));
    stream.write('and more');
    await until(() => received[0]?.bytes.length === 'first bytesand more'.length);
    expect(received[0]?.bytes.toString()).toBe('first bytesand more');
  });

  it('relay: addresses that are not allowed, bad lines and endless lines are refused', async () => {
    let connections = 0;
    const target = await outside(() => {
      connections += 1;
    });
    await start(['127.0.0.1:1']);
    const link = new EnclaveLink(directory);
    const lines = [egressLine(target), utf8('nonsense\n'), utf8('a'.repeat(MAX_EGRESS_LINE_BYTES + 10))];
    for (const line of lines) {
      const stream = await link.connect('egress');
      sockets.push(stream);
      stream.write(line);
      await until(() => drain([stream]));
    }
    expect(log.map((line) => line.reason)).toEqual(['address-not-allowed', 'bad-frame', 'bad-frame']);
    const silentStream = await link.connect('egress');
    await until(() => drain([silentStream]));
    const unreachable = await link.connect('egress');
    unreachable.write(egressLine('127.0.0.1:1'));
    await until(() => drain([unreachable]));
    expect(log.at(-1)?.reason).toBe('unreachable');
    expect(connections).toBe(0);
  });

  it('relay: more connections than allowed are closed, and places become free again', async () => {
    const inside: Socket[] = [];
    await enclave((stream) => inside.push(stream));
    await start();
    const [first] = [await client(), await client(), await client()];
    await until(() => inside.length === 3);
    const surplus = await client();
    await until(() => drain([surplus]));
    expect(log.at(-1)).toMatchObject({ reason: 'connection-limit', service: 'inbound' });
    first.destroy();
    await until(() => drain(inside));
    const next = await client();
    await until(() => inside.length === 4 && !next.destroyed);
  });

  it('relay: connections are as many as there is memory for, in both directions together', async () => {
    const maxBufferedBytes = LARGE_BUFFERS_BYTES + 3 * SPLICE_BUFFER_BYTES;
    await enclave((stream) => stream.resume());
    const target = await outside(() => {});
    await start([target], { maxInbound: 100, maxOutbound: 100, maxMembers: 0, maxBufferedBytes });
    await client();
    await client();
    const stream = await new EnclaveLink(directory).connect('egress');
    sockets.push(stream);
    stream.write(egressLine(target));
    await until(() => relay?.counters.dialled === 1);
    const surplus = await client();
    await until(() => drain([surplus]));
    const asked = await new EnclaveLink(directory).connect('egress');
    await until(() => drain([asked]));
    expect(log.map(({ reason, service }) => `${service} ${reason}`)).toEqual([
      'inbound buffer-limit',
      'outbound buffer-limit',
    ]);
  });

  it('relay: members’ hosts have a way and room of their own, whatever others take', async () => {
    const [ordinary, members]: Socket[][] = [[], []];
    await enclave((stream) => ordinary!.push(stream.resume()));
    await enclave((stream) => members!.push(stream.resume()), 'members');
    const maxBufferedBytes = LARGE_BUFFERS_BYTES + 5 * SPLICE_BUFFER_BYTES;
    const isMember = (from: string): boolean => from === '127.0.0.9';
    await start([], { maxInbound: 100, maxMembers: 2, maxBufferedBytes }, isMember);
    const from = async (localAddress: string): Promise<Socket> => {
      const socket = createConnection({ ...parseAddress(address), localAddress });
      sockets.push(socket.on('error', () => {}).resume());
      await new Promise((resolve) => socket.once('connect', resolve));
      return socket;
    };
    for (let i = 0; i < 6; i++) await from('127.0.0.1');
    await until(() => ordinary!.length === 3 && log.length === 3);
    expect(new Set(log.map(({ reason }) => reason))).toEqual(new Set(['buffer-limit']));
    await from('127.0.0.9');
    await from('127.0.0.9');
    await until(() => members!.length === 2);
    const surplus = await from('127.0.0.9');
    await until(() => surplus.destroyed);
    expect(log.at(-1)?.reason).toBe('connection-limit');
    expect([ordinary!.length, relay?.counters.inbound]).toEqual([3, 5]);
  });

  it('relay: a member’s host goes the way of all others when its own is closed', async () => {
    await enclave((stream) => stream.pipe(stream));
    await start([], {}, () => true);
    const socket = await client();
    const back = collect(socket);
    socket.write('hello');
    await until(() => back.bytes.toString() === 'hello');
  });

  it('relay: refusals without end are counted, and a few of them logged', async () => {
    await start([], { maxInbound: 1_000, acceptsPerSecond: 1, acceptBurst: 1 });
    const all = await Promise.all(Array.from({ length: 120 }, () => client()));
    await until(() => all.every((socket) => drain([socket])));
    const refused = [...(relay?.counters.refused.values() ?? [])].reduce((a, b) => a + b, 0);
    expect(refused).toBe(120);
    expect(log.length).toBeLessThanOrEqual(80);
  });

  it('relay: without an enclave a connection is closed; when it comes back, connections pass', async () => {
    await start();
    const early = await client();
    await until(() => drain([early]));
    expect(log.at(-1)?.reason).toBe('unreachable');
    await enclave((stream) => stream.pipe(stream));
    const socket = await client();
    const back = collect(socket);
    socket.write('hello');
    await until(() => back.bytes.toString() === 'hello');
  });

  it('relay: a silent connection is closed', async () => {
    await enclave(() => {});
    await start([], { idleMs: 50 });
    const socket = await client();
    await until(() => drain([socket]));
    expect(log.at(-1)?.reason).toBe('idle');
  });

  it('relay: a reader that does not read stops the writer', async () => {
    const inside: Socket[] = [];
    await enclave((stream) => inside.push(stream.pause()));
    await start();
    const socket = await client();
    const chunk = Buffer.alloc(64 * 1024, 1);
    const total = 1024 * chunk.length;
    for (let sent = 0; sent < total; sent += chunk.length) socket.write(chunk);
    await until(() => inside.length === 1);
    let before = -1;
    while (socket.bytesWritten - socket.writableLength !== before) {
      before = socket.bytesWritten - socket.writableLength;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    // Kernel buffers of three sockets and two stream buffers, far less than what was written.
    expect(socket.writableLength).toBeGreaterThan(total / 2);
    let received = 0;
    inside[0]!.on('data', (data: Buffer) => {
      received += data.length;
    });
    inside[0]!.resume();
    await until(() => received === total);
  });

  it('relay: a port that is taken is UNAVAILABLE, a second parent BUSY, and stale sockets are replaced', async () => {
    await start();
    const other = await mkdtemp(join(tmpdir(), 'kms-relay-'));
    const options = { listen: parseAddress(address), allowed: async () => new Set<string>(), log: silent };
    await expect(Relay.open({ ...options, link: new UnixLink(other) })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
    await expect(Relay.open({ ...options, link: new UnixLink(directory) })).rejects.toMatchObject({
      code: 'BUSY',
    });
    await rm(other, { recursive: true });
    expect(() => new UnixLink(`/tmp/${'x'.repeat(100)}`)).toThrow(
      expect.objectContaining({ code: 'BAD_INPUT' }),
    );
  });
});

describe('egress line', () => {
  it('egress line: is read however it is cut, and gives back what follows it', () => {
    fc.assert(
      fc.property(fc.nat(20), fc.uint8Array({ maxLength: 50 }), (cut, rest) => {
        const whole = concat(egressLine('node-1.example:7000'), rest);
        expect(readEgressLine(whole.subarray(0, Math.min(cut, 19)))).toBeUndefined();
        expect(readEgressLine(whole)).toMatchObject({ text: 'node-1.example:7000', rest });
      }),
    );
  });

  it('egress line: any bytes are an address, incomplete, or an error with a code', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        try {
          const line = readEgressLine(bytes);
          if (line !== undefined) expect(parseAddress(line.text)).toEqual(line.address);
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/^(BAD_INPUT|TOO_LARGE)$/) });
        }
      }),
    );
  });
});

describe('parent configuration', () => {
  const good = { listen: '127.0.0.1:7000', socketDirectory: '/tmp/a', configurationsFile: '/tmp/b' };

  it('parent configuration: is read strictly', async () => {
    const path = join(directory, 'parent.json');
    await writeFile(path, JSON.stringify(good));
    const listen = { host: '127.0.0.1', port: 7000 };
    const { configurationsFile } = good;
    const link = { kind: 'unix', socketDirectory: '/tmp/a' };
    expect(await readParentConfig(path)).toEqual({
      ...{ configurationsFile, link, listen, status: undefined, hosts: new Map() },
      ...{ genesisFile: undefined, party: undefined, credentialsFile: undefined },
    });
    const told = { ...good, genesisFile: '/g', credentialsFile: '/c', party: 3 };
    const hosts = { 'kms.eu-central-1.amazonaws.com:443': '127.0.0.1:4443' };
    await writeFile(path, JSON.stringify({ ...told, hosts }));
    expect(await readParentConfig(path)).toMatchObject({
      ...{ genesisFile: '/g', credentialsFile: '/c', party: 3 },
      hosts: new Map([['kms.eu-central-1.amazonaws.com:443', { host: '127.0.0.1', port: 4443 }]]),
    });
    await writeFile(path, JSON.stringify({ ...good, status: '[::1]:9000' }));
    expect((await readParentConfig(path)).status).toEqual({ host: '::1', port: 9000 });
    const bad = [
      { ...good, listen: 'x' },
      { ...good, more: 1 },
      { listen: good.listen },
      [],
      'text',
      null,
      { ...good, status: '0.0.0.0:9000' },
      ...[0, 65, 1.5, '1', null].map((party) => ({ ...good, party })),
      ...[[], 'a', { a: 1 }, { 'a.example:443': 'b' }].map((hosts) => ({ ...good, hosts })),
    ];
    for (const value of bad) {
      await writeFile(path, JSON.stringify(value));
      await expect(readParentConfig(path)).rejects.toMatchObject({ code: 'BAD_INPUT' });
    }
    await writeFile(path, '{');
    await expect(readParentConfig(path)).rejects.toMatchObject({ code: 'BAD_INPUT' });
  });
});

/** Lets closing be noticed; true when one of them has closed. */
function drain(of: readonly Socket[]): boolean {
  for (const socket of of) if (!socket.destroyed) socket.resume();
  return of.some((socket) => socket.destroyed);
}
