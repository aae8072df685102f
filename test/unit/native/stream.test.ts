import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer, connect as netConnect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type LinkAddresses, VsockLink } from '../../../enclave/link/vsock.ts';
import { loadAddon, type NativeAddon } from '../../../enclave/native/addon.ts';
import { connectNative, listenNative } from '../../../enclave/native/listener.ts';
import type { NativeStream } from '../../../enclave/native/stream.ts';
import { builtAddon, canBuild } from './built.ts';

const CHUNK = 65_536;
const directory = mkdtempSync(join(tmpdir(), 'kms-native-'));
const closers: (() => void)[] = [];
let addon: NativeAddon;
let count = 0;

beforeAll(() => {
  if (canBuild) addon = builtAddon(join(directory, 'kms.node'));
});
afterEach(() => {
  for (const close of closers.splice(0)) close();
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const freshPath = (): string => join(directory, `${++count}.sock`);

/** Two ends of one connection, both by the native layer over AF_UNIX: the functions are those of AF_VSOCK. */
async function pair(): Promise<readonly [NativeStream, NativeStream]> {
  const path = freshPath();
  const accepted = new Promise<NativeStream>((resolve) => {
    closers.push(listenNative(addon, path, resolve));
  });
  const one = await connectNative(addon, path, 1000);
  const two = await accepted;
  for (const stream of [one, two]) {
    stream.on('error', () => {});
    closers.push(() => stream.destroy());
  }
  return [one, two];
}

async function all(stream: NativeStream): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

describe.skipIf(!canBuild)('native stream', () => {
  it('native stream: bytes arrive whole and in order, in both directions at once', async () => {
    const [one, two] = await pair();
    const [there, back] = [randomBytes(3_000_001), randomBytes(2_000_003)];
    const received = [one, two].map((stream, i) => {
      const hash = createHash('sha256');
      let left = i === 0 ? back.length : there.length;
      return new Promise((resolve) => {
        stream.on('data', (part: Buffer) => {
          hash.update(part);
          left -= part.length;
          if (left === 0) resolve(hash.digest('hex'));
        });
      });
    });
    one.write(there);
    for (let at = 0; at < back.length; at += 10_007) two.write(back.subarray(at, at + 10_007));
    const digests = [back, there].map((bytes) => createHash('sha256').update(bytes).digest('hex'));
    expect(await Promise.all(received)).toEqual(digests);
  });

  it('native stream: many small writes at once arrive as they were written', async () => {
    const [one, two] = await pair();
    const reading = all(two);
    for (let i = 0; i < 5000; i++) one.write(Buffer.from([i & 255]));
    one.end();
    const bytes = await reading;
    expect(bytes.length).toBe(5000);
    expect(bytes.every((byte, i) => byte === (i & 255))).toBe(true);
  });

  it('native stream: end closes both directions after everything is written', async () => {
    const [one, two] = await pair();
    const closed = Promise.all([once(one, 'close'), once(two, 'close')]);
    const sent = randomBytes(1_000_000);
    one.end(sent);
    expect((await all(two)).equals(sent)).toBe(true);
    await closed;
    expect([one.destroyed, two.destroyed]).toEqual([true, true]);
  });

  it('native stream: back pressure reaches the writer, and nothing is read that nobody takes', async () => {
    const [one, two] = await pair();
    let written = 0;
    while (one.write(Buffer.alloc(CHUNK)) && written < 1000 * CHUNK) written += CHUNK;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(one.writableNeedDrain).toBe(true);
    expect(written).toBeLessThan(100 * CHUNK);
    expect(two.readableLength).toBeLessThanOrEqual(2 * CHUNK);
    two.resume();
    await once(one, 'drain');
  });

  it('native stream: a pause holds data back, a resume gives it', async () => {
    const [one, two] = await pair();
    let seen = 0;
    two.on('data', (part: Buffer) => {
      seen += part.length;
      two.pause();
      setImmediate(() => two.resume());
    });
    await pipeline([randomBytes(500_000), randomBytes(500_000)], one);
    await once(two, 'close');
    expect(seen).toBe(1_000_000);
  });

  it('native stream: destroy on one side ends the other, and pending writes fail', async () => {
    const [one, two] = await pair();
    const failed = new Promise((resolve) => {
      one.write(Buffer.alloc(50 * CHUNK), resolve);
    });
    const closed = new Promise((resolve) => one.once('close', resolve));
    two.destroy();
    await closed;
    expect(await failed).toBeInstanceOf(Error);
    expect(one.destroyed).toBe(true);
  });

  it('native stream: speaks with node on the other side', async () => {
    const path = freshPath();
    const server = createServer((socket) => socket.pipe(socket)).listen(path);
    closers.push(() => server.close());
    await once(server, 'listening');
    const stream = await connectNative(addon, path, 1000);
    closers.push(() => stream.destroy());
    const sent = randomBytes(300_000);
    stream.write(sent);
    const parts: Buffer[] = [];
    for await (const part of stream) {
      parts.push(part);
      if (Buffer.concat(parts).length === sent.length) break;
    }
    expect(Buffer.concat(parts).equals(sent)).toBe(true);
  });

  it('native stream: a listener serves many, and none after it was closed', async () => {
    const path = freshPath();
    const accepted: NativeStream[] = [];
    const close = listenNative(addon, path, (stream) => accepted.push(stream.on('error', () => {})));
    const clients = await Promise.all(Array.from({ length: 100 }, () => connectNative(addon, path, 1000)));
    await expect.poll(() => accepted.length).toBe(100);
    close();
    close();
    await expect(connectNative(addon, path, 1000)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    clients[0]!.write('x');
    expect(String((await once(accepted[0]!, 'data'))[0])).toBe('x');
    for (const stream of [...clients, ...accepted]) stream.destroy();
  });

  it('native stream: no descriptor stays open', async () => {
    const { readdir } = await import('node:fs/promises');
    const open = async (): Promise<number> => (await readdir('/proc/self/fd')).length;
    const before = await open();
    for (let i = 0; i < 50; i++) {
      const [one, two] = await pair();
      const closed = Promise.all([once(one, 'close'), once(two, 'close')]);
      two.resume();
      one.end('x');
      await closed;
      for (const close of closers.splice(0)) close();
      await expect(connectNative(addon, freshPath(), 100)).rejects.toMatchObject({ code: 'ENOENT' });
    }
    await expect.poll(open).toBeLessThanOrEqual(before);
  });
});

describe.skipIf(!canBuild)('native layer', () => {
  it('native layer: wrong arguments are errors, never crashes', () => {
    const loose = new Map<string, unknown>(Object.entries(addon));
    const odd = [
      undefined,
      null,
      -1,
      2 ** 40,
      '',
      {},
      { cid: 'a', port: 1 },
      [],
      new Uint8Array(4),
      () => {},
    ];
    for (const [name, call] of loose) {
      if (typeof call !== 'function' || name === 'localCid' || name === 'close') continue;
      for (const a of odd) {
        for (const b of odd) {
          // Another number might be a descriptor that is somebody's.
          const result: unknown = Reflect.apply(call, undefined, [typeof a === 'number' ? -1 : a, b, -1]);
          if (typeof result === 'number' && name !== 'connectError') expect(result).toBeLessThan(0);
        }
      }
    }
    expect(addon.listen('x'.repeat(200), 1)).toBe(-22);
  });

  it('native layer: a file that is none is UNAVAILABLE', () => {
    for (const path of [join(directory, 'absent.node'), import.meta.filename]) {
      expect(() => loadAddon(path)).toThrow(expect.objectContaining({ code: 'UNAVAILABLE' }));
    }
  });

  it('native layer: without /dev/nsm a request ends in an error number', async () => {
    const { existsSync } = await import('node:fs');
    if (existsSync('/dev/nsm')) return;
    expect(await addon.nsm(new Uint8Array(8))).toBe(-2);
    expect(await addon.nsm(new Uint8Array(5000))).toBe(-90);
  });
});

describe.skipIf(!canBuild)('vsock link', () => {
  const unixAddresses = (): LinkAddresses => {
    const at = freshPath();
    const address = (service: string): string => `${at}.${service}`;
    return { own: address, other: address };
  };

  it('vsock link: streams for each service, and node clients on the same addresses', async () => {
    const addresses = unixAddresses();
    const link = new VsockLink(addon, addresses);
    for (const service of ['ingress', 'egress'] as const) {
      const listener = await link.listen(service, (stream) => stream.pipe(stream));
      const stream = await link.connect(service);
      stream.write(service);
      expect(String((await once(stream, 'data'))[0])).toBe(service);
      stream.destroy();
      await listener.close();
      await expect(link.connect(service)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    }
  });

  it('vsock link: errors of a peer that vanishes do not escape', async () => {
    const addresses = unixAddresses();
    const link = new VsockLink(addon, addresses);
    const streams: NativeStream[] = [];
    const listener = await link.listen('ingress', (stream) => streams.push(stream));
    const socket = netConnect(String(addresses.other('ingress')));
    await once(socket, 'connect');
    await expect.poll(() => streams.length).toBe(1);
    socket.destroy();
    streams[0]!.write(Buffer.alloc(1_000_000));
    await new Promise((resolve) => streams[0]!.once('close', resolve));
    await listener.close();
  });

  it('vsock link: a service that is taken is BUSY', async () => {
    const link = new VsockLink(addon, unixAddresses());
    const listener = await link.listen('ingress', () => {});
    await expect(link.listen('ingress', () => {})).rejects.toMatchObject({ code: 'BUSY' });
    await listener.close();
  });
});

describe.skipIf(!canBuild)('AF_VSOCK', () => {
  /** The context of this machine itself. */
  const LOCAL = 1;
  const ANY = 0xffff_ffff;

  it('AF_VSOCK: streams over the local context, where the machine has one', async ({ skip }) => {
    const port = 50_000 + (process.pid % 10_000);
    const accepted: NativeStream[] = [];
    let close: () => void;
    let client: NativeStream;
    try {
      close = listenNative(addon, { cid: ANY, port }, (stream) =>
        accepted.push(stream.on('error', () => {})),
      );
      closers.push(close);
      client = await connectNative(addon, { cid: LOCAL, port }, 1000);
    } catch (error) {
      process.stderr.write(`\nSKIPPED: AF_VSOCK does not loop back here (${String(error)})\n\n`);
      return skip();
    }
    await expect.poll(() => accepted.length).toBe(1);
    const sent = randomBytes(1_000_000);
    client.end(sent);
    expect((await all(accepted[0]!)).equals(sent)).toBe(true);
  });

  it('AF_VSOCK: nobody listening is an error', async () => {
    const outcome = connectNative(addon, { cid: LOCAL, port: 61_999 }, 300);
    await expect(outcome).rejects.toMatchObject({ syscall: 'connect' });
  });
});
