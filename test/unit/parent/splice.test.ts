import { spawn } from 'node:child_process';
import { createHash, randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { type AddressInfo, createConnection, createServer, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import type { SpliceAddon } from '../../../parent/native/splice-addon.ts';
import { readingInto } from '../../../parent/own-buffer.ts';
import { ReadBuffers, SMALL_BYTES } from '../../../parent/read-buffers.ts';
import { SPLICE_BUFFER_BYTES, type Splice, splice } from '../../../parent/splice.ts';
import { builtProgram, builtSplice, canBuild } from '../native/built.ts';
import { until } from '../net/nodes.ts';

const LARGE_BYTES = 512 * 1024;
/** Two stretches of kernel buffers, generously. */
const KERNEL_BYTES = 12 << 20;
const IDLE_MS = 60_000;
const directory = mkdtempSync(join(tmpdir(), 'kms-splice-'));
const closers: (() => void)[] = [];
let count = 0;

afterEach(() => {
  for (const close of closers.splice(0)) close();
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function kept<S extends Duplex>(stream: S): S {
  stream.on('error', () => {});
  closers.push(() => stream.destroy());
  return stream;
}

/** [the end that connected, the end that was accepted], over TCP or a unix socket. */
async function connection(kind: 'tcp' | 'unix'): Promise<readonly [Socket, Socket]> {
  const server = createServer({ allowHalfOpen: false, pauseOnConnect: true });
  closers.push(() => server.close());
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  if (kind === 'tcp') server.listen(0, '127.0.0.1');
  else server.listen(join(directory, `${++count}.sock`));
  await once(server, 'listening');
  const address = server.address() as AddressInfo | string;
  const to = typeof address === 'string' ? { path: address } : { host: '127.0.0.1', port: address.port };
  const one = createConnection({ ...to, allowHalfOpen: false });
  await once(one, 'connect');
  return [kept(one), kept(await accepted)];
}

/** Streams that are no sockets of node's, such as those of the native layer. */
class Wrapped extends Duplex {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    super({ allowHalfOpen: false });
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      if (!this.push(Buffer.from(chunk))) socket.pause();
    });
    socket.once('end', () => this.push(null));
    socket.once('close', () => this.destroy());
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done);
  }

  override _final(done: () => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}

interface Rig {
  readonly outside: Socket;
  readonly inside: Socket;
  readonly spliced: Splice;
  /** Of splice()'s `ended`. */
  readonly ends: boolean[];
}

interface RigOptions {
  readonly buffers?: ReadBuffers;
  readonly idleMs?: number;
  readonly wrapped?: boolean;
  readonly addon?: SpliceAddon;
}

/** Who carries: this process, or the kernel, which may not splice every socket. */
const ways: (readonly [string, RigOptions])[] = [
  ['sockets', {}],
  ['other streams', { wrapped: true }],
];
if (canBuild) {
  ways.push(
    ['kernel', { addon: builtSplice(join(directory, 'splice.node')) }],
    [
      'kernel that splices nothing from sockets',
      { addon: builtSplice(join(directory, 'in.node'), 'reading') },
    ],
    [
      'kernel that splices nothing to sockets',
      { addon: builtSplice(join(directory, 'out.node'), 'writing') },
    ],
  );
}

/** outside - (accepted, connected) - inside, as a relay has them. */
async function rig({
  buffers = new ReadBuffers(16 << 20),
  idleMs = IDLE_MS,
  wrapped,
  addon,
}: RigOptions): Promise<Rig> {
  const [outside, accepted] = await connection('tcp');
  const [connected, inside] = await connection('unix');
  const ends: boolean[] = [];
  const [a, b] =
    wrapped === true ? [kept(new Wrapped(accepted)), kept(new Wrapped(connected))] : [accepted, connected];
  const spliced = splice(a, b, { buffers, idleMs, addon }, (idle) => ends.push(idle));
  closers.push(() => spliced.end());
  return { outside, inside, spliced, ends };
}

/** Reads so many bytes, now and then not. @returns their digest */
async function readAll(stream: Socket, sizeBytes: number, hesitant: boolean): Promise<string> {
  const hash = createHash('sha256');
  let left = sizeBytes;
  const { promise, resolve } = Promise.withResolvers<string>();
  stream.on('data', (chunk: Buffer) => {
    hash.update(chunk);
    left -= chunk.length;
    if (left <= 0) resolve(left === 0 ? hash.digest('hex') : 'too much');
    else if (hesitant && randomInt(20) === 0) {
      stream.pause();
      setTimeout(() => stream.resume(), randomInt(8));
    }
  });
  stream.resume();
  return await promise;
}

/** Writes in pieces of any size. */
async function writeAll(stream: Socket, bytes: Buffer, mostBytes: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const size = 1 + randomInt(mostBytes);
    if (!stream.write(bytes.subarray(at, at + size))) await once(stream, 'drain');
    at += size;
    if (randomInt(8) === 0) await turn();
  }
}

const digestOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** Sends letters to a port of this machine, with urgent bytes between that no reader sees. */
const URGENT = `
  #include <arpa/inet.h>
  #include <stdlib.h>
  #include <unistd.h>
  int main(int count, char **arguments) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(arguments[count - 1]))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) return 1;
    send(fd, "abc", 3, 0), usleep(50000), send(fd, "!", 1, MSG_OOB), usleep(50000), send(fd, "def", 3, 0);
    usleep(50000), send(fd, "!", 1, MSG_OOB), send(fd, "ghi", 3, 0);
    return close(fd);
  }`;

describe('splice', () => {
  it.each(ways)(
    'splice: %s: what goes in comes out, both ways at once, whoever hesitates',
    async (_name, way) => {
      const shapes = [
        [9_000_000, 1_000_000, 400],
        [3_000_000, 3_000_000, 70_000],
        [200_000, 12_000_000, 300],
      ] as const;
      for (const [thereBytes, backBytes, mostBytes] of shapes) {
        const { outside, inside, spliced } = await rig(way);
        const [there, back] = [randomBytes(thereBytes), randomBytes(backBytes)];
        const reading = Promise.all([readAll(inside, thereBytes, true), readAll(outside, backBytes, true)]);
        await Promise.all([writeAll(outside, there, 200_000), writeAll(inside, back, mostBytes * 100)]);
        expect(await reading).toEqual([digestOf(there), digestOf(back)]);
        expect(spliced.bytes).toEqual({ fromA: thereBytes, fromB: backBytes });
        await until(() => spliced.flushed);
      }
    },
  );

  it('splice: this version of node lets every socket read into buffers of ours', async () => {
    for (const kind of ['tcp', 'unix'] as const) {
      for (const one of await connection(kind)) {
        const heir = readingInto(one, { buffer: () => Buffer.alloc(8), callback: () => true });
        expect(heir).toBeInstanceOf(Socket);
        heir?.destroy();
        await once(one, 'close');
      }
    }
    expect(
      readingInto(new Wrapped(new Socket()), { buffer: () => Buffer.alloc(8), callback: () => true }),
    ).toBe(undefined);
  });

  it.each(ways)(
    'splice: %s: a reader that does not read stops the writer, and loses nothing',
    async (_name, way) => {
      const { outside, inside, spliced } = await rig(way);
      const bytes = randomBytes(48 << 20);
      outside.write(bytes);
      let before = -1;
      while (spliced.bytes.fromA !== before || before <= 0) {
        before = spliced.bytes.fromA;
        await sleep(100);
      }
      expect(spliced.flushed).toBe(false);
      expect(spliced.bytes.fromA).toBeLessThan(SPLICE_BUFFER_BYTES + LARGE_BYTES + KERNEL_BYTES);
      expect(await readAll(inside, bytes.length, false)).toBe(digestOf(bytes));
    },
  );

  it.each(ways)(
    'splice: %s: what had arrived before, and what comes with the end, arrives',
    async (_name, way) => {
      for (const sizeBytes of [1, 5_000, 3_000_000]) {
        const [outside, accepted] = await connection('tcp');
        const [connected, inside] = await connection('unix');
        const bytes = randomBytes(sizeBytes);
        // As after the line of an egress stream: some has been read, and the end may be known already.
        const readable = once(accepted, 'readable');
        outside.end(bytes);
        await readable;
        accepted.unshift(Buffer.from('first'));
        await sleep(20);
        const ended: boolean[] = [];
        const options = { buffers: new ReadBuffers(LARGE_BYTES), idleMs: IDLE_MS, addon: way.addon };
        const spliced = splice(accepted, connected, options, (idle) => ended.push(idle));
        expect(await readAll(inside, sizeBytes + 5, true)).toBe(
          digestOf(Buffer.concat([Buffer.from('first'), bytes])),
        );
        await until(() => inside.destroyed && ended.length === 1);
        expect(ended).toEqual([false]);
        expect(spliced.bytes).toEqual({ fromA: sizeBytes + 5, fromB: 0 });
      }
    },
  );

  it.each(ways.filter(([, { wrapped }]) => wrapped !== true))(
    'splice: %s: one side ends while the other does not read and still talks: all of it arrives',
    async (_name, way) => {
      const { outside, inside, ends } = await rig(way);
      const bytes = randomBytes(4 << 20);
      outside.resume().end(bytes);
      for (let i = 0; i < 20; i++) {
        inside.write(randomBytes(1_000));
        await sleep(5);
      }
      expect(await readAll(inside, bytes.length, false)).toBe(digestOf(bytes));
      await until(() => ends.length === 1);
      expect(ends).toEqual([false]);
    },
  );

  it.each(
    ways.flatMap(([name, way]) => (['outside', 'inside'] as const).map((who) => [name, who, way] as const)),
  )('splice: %s: %s breaks in the middle: both are gone, once', async (_name, who, way) => {
    const { outside, inside, ends } = await rig(way);
    for (const stream of [outside, inside]) stream.write(randomBytes(8 << 20));
    await sleep(30);
    const [broken, other] = who === 'outside' ? [outside, inside] : [inside, outside];
    other.resume();
    if (who === 'outside') broken.resetAndDestroy();
    else broken.destroy();
    await until(() => other.destroyed);
    await sleep(20);
    expect(ends).toEqual([false]);
  });

  it.each(ways)(
    'splice: %s: half-dead: a reader that takes nothing is idle, one that takes a little is not',
    async (_name, way) => {
      const stalled = await rig({ ...way, idleMs: 150 });
      stalled.outside.write(randomBytes(8 << 20));
      await until(() => stalled.ends.length === 1);
      expect(stalled.ends).toEqual([true]);

      const slow = await rig({ ...way, idleMs: 400 });
      slow.outside.write(randomBytes(8 << 20));
      const startedAt = performance.now();
      let read = 0;
      slow.inside.on('data', (chunk: Buffer) => {
        read += chunk.length;
        slow.inside.pause();
        setTimeout(() => slow.inside.resume(), 10);
      });
      slow.inside.resume();
      await until(() => read === 8 << 20);
      expect(performance.now() - startedAt).toBeGreaterThan(400);
      expect(slow.ends).toEqual([]);
    },
  );

  it('splice: those who hold all large buffers and do not read slow nobody else down for ever', async () => {
    const buffers = new ReadBuffers(2 * LARGE_BYTES);
    const stalled = [await rig({ buffers }), await rig({ buffers })];
    for (const { outside } of stalled) outside.write(randomBytes(8 << 20));
    await until(() => buffers.free === 0);
    await sleep(100);
    const { outside, inside } = await rig({ buffers });
    const bytes = randomBytes(6 << 20);
    outside.write(bytes);
    expect(await readAll(inside, bytes.length, false)).toBe(digestOf(bytes));
    for (const { spliced } of stalled) spliced.end();
    expect(buffers.free).toBe(2);
  });

  it('splice: a large buffer comes back when there is little to carry', async () => {
    const buffers = new ReadBuffers(LARGE_BYTES);
    const { outside, inside } = await rig({ buffers });
    let [read, least] = [0, 1];
    inside.on('data', (chunk: Buffer) => {
      read += chunk.length;
      least = Math.min(least, buffers.free);
    });
    inside.resume();
    outside.write(randomBytes(8 << 20));
    await until(() => read === 8 << 20);
    expect(least).toBe(0);
    outside.write(randomBytes(SMALL_BYTES / 4));
    await until(() => buffers.free === 1);
  });

  it.runIf(canBuild)(
    'splice: the kernel’s large pipes: those who fill them all slow nobody down for ever, and they come back',
    async () => {
      const addon = builtSplice(join(directory, 'large.node'));
      const most = addon.freeLarge();
      const stalled = await Promise.all(Array.from({ length: most + 4 }, () => rig({ addon })));
      for (const { outside } of stalled) outside.write(randomBytes(8 << 20));
      await until(() => addon.freeLarge() === 0);
      await sleep(100);
      const { outside, inside } = await rig({ addon });
      const bytes = randomBytes(6 << 20);
      outside.write(bytes);
      expect(await readAll(inside, bytes.length, false)).toBe(digestOf(bytes));
      for (const one of stalled.slice(1)) one.spliced.end();
      expect(addon.freeLarge()).toBe(most - 1);
      await readAll(stalled[0]!.inside, 8 << 20, false);
      await until(() => addon.freeLarge() === most);
    },
  );

  it.runIf(canBuild)(
    'splice: a connection that the kernel carries costs descriptors only while it lasts',
    async () => {
      const addon = builtSplice(join(directory, 'descriptors.node'));
      const open = (): number => readdirSync('/proc/self/fd').length;
      const round = async (): Promise<void> => {
        const rigs = await Promise.all(Array.from({ length: 20 }, () => rig({ addon })));
        for (const { outside } of rigs) outside.write(randomBytes(1 << 20));
        await sleep(50);
        for (const close of closers.splice(0)) close();
        await until(() => rigs.every(({ ends, inside }) => ends.length === 1 && inside.destroyed));
        await sleep(50);
      };
      await round();
      const before = open();
      for (let i = 0; i < 3; i++) await round();
      expect(open()).toBeLessThanOrEqual(before + 2);
    },
  );

  it.each(ways.filter(([, { addon }]) => addon !== undefined))(
    'splice: %s: a connection that had ended before: what it brought is written, however long that takes',
    async (_name, { addon }) => {
      const [outside, accepted] = await connection('tcp');
      const [connected, inside] = await connection('unix');
      const bytes = randomBytes(5_000);
      const readable = once(accepted, 'readable');
      outside.end(bytes);
      await readable;
      await sleep(20);
      const ends: boolean[] = [];
      const options = { buffers: new ReadBuffers(LARGE_BYTES), idleMs: IDLE_MS, addon };
      // The system takes it later.
      const write = connected._write.bind(connected);
      connected._write = (...given) => void setTimeout(() => write(...given), 50);
      splice(accepted, connected, options, (idle) => ends.push(idle));
      expect(await readAll(inside, bytes.length, false)).toBe(digestOf(bytes));
      await until(() => inside.destroyed && ends.length === 1);
      expect(ends).toEqual([false]);
    },
  );

  it.each(ways.filter(([, { addon }]) => addon !== undefined))(
    'splice: %s: who answers and closes without having read all it was sent is heard by a slow reader',
    async (_name, way) => {
      const { outside, inside, ends } = await rig(way);
      outside.write(randomBytes(8 << 20));
      let taken = 0;
      for (let i = 0; i < 1_000; i++) {
        const chunk = Buffer.alloc(16 << 10, i);
        inside.write(chunk, (error) => {
          if (!error) taken += chunk.length;
        });
      }
      // Both ways are full now.
      for (let before = -1; taken !== before; await sleep(100)) before = taken;
      inside.destroy();
      await sleep(50);
      expect(ends).toEqual([]);
      let heard = 0;
      outside.on('data', (chunk: Buffer) => {
        heard += chunk.length;
      });
      await until(() => ends.length === 1 && outside.destroyed);
      expect(taken).toBeGreaterThan(0);
      expect(heard).toBeGreaterThanOrEqual(taken);
    },
  );

  it.runIf(canBuild)('splice: urgent bytes of TCP, which splice(2) stops at, stop nothing', async () => {
    const addon = builtSplice(join(directory, 'urgent.node'));
    const program = builtProgram(join(directory, 'urgent'), URGENT);
    const server = createServer({ allowHalfOpen: false, pauseOnConnect: true });
    closers.push(() => server.close());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const { port } = server.address() as AddressInfo;
    const ended = once(spawn(program, [`${port}`]), 'exit');
    const [socket] = await accepted;
    const [connected, inside] = await connection('unix');
    const options = { buffers: new ReadBuffers(LARGE_BYTES), idleMs: IDLE_MS, addon };
    splice(kept(socket), connected, options, () => {});
    const all = [];
    inside.resume();
    for await (const chunk of inside) all.push(chunk);
    expect(String(Buffer.concat(all))).toBe('abcdefghi');
    await ended;
  });

  it.runIf(canBuild)('splice: what is no connection is refused, and a handle is used once', () => {
    const addon = builtSplice(join(directory, 'refused.node'));
    const EBADF = -9;
    expect(addon.carry(-1, -1, () => {})).toBe(EBADF);
    expect(addon.carry(0, 1 << 20, () => {})).toBeLessThan(0);
    expect(Reflect.apply(addon.carry, undefined, [0, 1])).toBeLessThan(0);
    for (const other of [undefined, 7, {}]) {
      expect(Reflect.apply(addon.state, undefined, [other])).toBe(EBADF);
      expect(Reflect.apply(addon.close, undefined, [other])).toBe(EBADF);
    }
  });
});
