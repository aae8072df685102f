import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { readingInto } from '../../../parent/own-buffer.ts';
import { ReadBuffers, SMALL_BYTES } from '../../../parent/read-buffers.ts';
import { SPLICE_BUFFER_BYTES, splice } from '../../../parent/splice.ts';
import { until } from '../net/nodes.ts';
import {
  connection,
  digestOf,
  IDLE_MS,
  LARGE_BYTES,
  readAll,
  rig,
  Wrapped,
  ways,
  writeAll,
} from './splice-rig.ts';

/** Two stretches of kernel buffers, generously. */
const KERNEL_BYTES = 12 << 20;

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
});
