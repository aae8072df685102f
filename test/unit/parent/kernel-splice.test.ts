import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { SpliceAddon } from '../../../parent/native/splice-addon.ts';
import { ReadBuffers } from '../../../parent/read-buffers.ts';
import { splice } from '../../../parent/splice.ts';
import { builtProgram, builtSplice, canBuild } from '../native/built.ts';
import { until } from '../net/nodes.ts';
import {
  closers,
  connection,
  digestOf,
  directory,
  IDLE_MS,
  kept,
  LARGE_BYTES,
  readAll,
  rig,
  ways,
} from './splice-rig.ts';

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
describe('splice by the kernel', () => {
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

  it.runIf(canBuild)(
    'splice: a connection that is destroyed while what it brought is written is not carried',
    async () => {
      let carried = 0;
      const built = builtSplice(join(directory, 'destroyed.node'));
      const addon: SpliceAddon = {
        ...built,
        carry: (...given) => {
          carried += 1;
          return built.carry(...given);
        },
      };
      const [outside, accepted] = await connection('tcp');
      const [connected] = await connection('unix');
      const readable = once(accepted, 'readable');
      outside.write('early');
      await readable;
      const written = Promise.withResolvers<() => void>();
      connected._write = (_chunk, _encoding, done) => written.resolve(done);
      const ends: boolean[] = [];
      const options = { buffers: new ReadBuffers(LARGE_BYTES), idleMs: IDLE_MS, addon };
      splice(accepted, connected, options, (idle) => ends.push(idle));
      const done = await written.promise;
      // Its descriptor's number may be another connection's from here on.
      accepted.destroy();
      done();
      await until(() => ends.length === 1);
      expect(carried).toBe(0);
    },
  );

  it('splice: without a descriptor left for it a connection ends, and whoever asked hears of it afterwards', async () => {
    const EMFILE = -24;
    const none = (): readonly number[] => [];
    const addon: SpliceAddon = { carry: () => EMFILE, state: none, close: none, freeLarge: () => 0 };
    const [outside, accepted] = await connection('tcp');
    const [connected, inside] = await connection('unix');
    const options = { buffers: new ReadBuffers(LARGE_BYTES), idleMs: IDLE_MS, addon };
    const ends: object[] = [];
    const spliced = splice(accepted, connected, options, () => ends.push(spliced));
    for (const stream of [outside, inside]) stream.resume();
    await until(() => ends.length === 1 && outside.destroyed && inside.destroyed);
    expect(ends).toEqual([spliced]);
  });
});
