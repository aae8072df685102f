import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import {
  AnnouncedHeads,
  type AnnouncedHeadsOptions,
  headsOf,
  polledHeads,
} from '../../../gateway/adapter/heads.ts';
import { silentChainLog } from '../../../gateway/adapter/log.ts';
import { CHAIN_ID, noticeOf, PlayedAnnouncer } from './played-announcer.ts';

/** Longer than any test: what comes in time came by a notice. */
const NEVER_MS = 600_000;

let stopAll: AbortController;
let announcer: PlayedAnnouncer | undefined;
let silent: Server | undefined;
let events: string[];

beforeEach(() => {
  [stopAll, events] = [new AbortController(), []];
});

afterEach(async () => {
  stopAll.abort();
  vi.restoreAllMocks();
  await announcer?.stop();
  silent?.close();
  [announcer, silent] = [undefined, undefined];
});

function headsAt(url: string, changes: Partial<AnnouncedHeadsOptions> = {}): AnnouncedHeads {
  return new AnnouncedHeads({
    ...{ chainId: CHAIN_ID, url, signal: stopAll.signal },
    log: (_, event) => void events.push(event),
    backoff: { firstMs: 5, longestMs: 20 },
    silenceMs: NEVER_MS,
    ...changes,
  });
}

/** Subscribed already. */
async function subscribed(changes: Partial<AnnouncedHeadsOptions> = {}): Promise<AnnouncedHeads> {
  announcer ??= await PlayedAnnouncer.start();
  const heads = headsAt(announcer.url, changes);
  await expect.poll(() => heads.count, { interval: 5 }).toBe(1);
  return heads;
}

const isOver = async (waiting: Promise<void>, withinMs: number): Promise<boolean> =>
  Promise.race([waiting.then(() => true), sleep(withinMs, false)]);

describe('heads', () => {
  test('heads: a notice wakes all who wait, and each counts', async () => {
    const heads = await subscribed();
    const waiting = [1, 2].map(() => heads.changed(1, NEVER_MS, stopAll.signal));
    announcer?.say(noticeOf());
    await Promise.all(waiting);
    expect(heads.count).toBe(2);
    announcer?.say(noticeOf());
    await heads.changed(2, NEVER_MS, stopAll.signal);
    expect(heads.count).toBe(3);
  });

  test('heads: a notice between asking and waiting is not lost', async () => {
    const heads = await subscribed();
    const { count } = heads;
    announcer?.say(noticeOf());
    await expect.poll(() => heads.count, { interval: 5 }).toBe(2);
    await heads.changed(count, NEVER_MS, stopAll.signal);
  });

  test('heads: after a notice the chain is asked soon, and then ever more seldom', async () => {
    const heads = await subscribed();
    const waitedMs = async (): Promise<number> => {
      const startMs = performance.now();
      await heads.changed(heads.count, 10, stopAll.signal);
      return performance.now() - startMs;
    };
    await sleep(300);
    for (const count of [1, 2]) {
      expect(heads.count).toBe(count);
      announcer?.say(noticeOf());
      await heads.changed(count, NEVER_MS, stopAll.signal);
      const startMs = performance.now();
      // At all: what is announced no more is asked for after NEVER_MS.
      await waitedMs();
      let asked = 1;
      for (; performance.now() < startMs + 400; asked++) await waitedMs();
      // Each wait is as long as all before it: 50, 50, 100, 200 ms and the one that leads beyond.
      expect(asked).toBeLessThan(7);
      expect(await waitedMs()).toBeGreaterThan(390);
    }
  });

  test('heads: while a subscription stands the chain is asked seldom, and still asked', async () => {
    const seldom = await subscribed({ silenceMs: 400 });
    await sleep(500);
    for (let i = 0; i < 2; i++) {
      const waiting = seldom.changed(1, 10, stopAll.signal);
      expect(await isOver(waiting, 150)).toBe(false);
      expect(await isOver(waiting, 60_000)).toBe(true);
    }
    expect(seldom.count).toBe(1);
  });

  test('heads: whoever polls more seldom than that is not made to poll oftener', async () => {
    const heads = await subscribed({ silenceMs: 10 });
    expect(await isOver(heads.changed(1, NEVER_MS, stopAll.signal), 150)).toBe(false);
  });

  test('heads: where nobody answers it is polled, and that is said once', async () => {
    const heads = headsAt('ws://127.0.0.1:1');
    for (let i = 0; i < 20; i++) await heads.changed(heads.count, 10, stopAll.signal);
    expect(heads.count).toBe(0);
    expect(events).toEqual(['heads-not-announced']);
  });

  test('heads: an endpoint that ends wakes who waits, is polled, and tells again when it is back', async () => {
    const heads = await subscribed();
    const { port } = announcer!;
    const waiting = heads.changed(1, NEVER_MS, stopAll.signal);
    await announcer?.stop();
    await waiting;
    expect(heads.count).toBe(2);
    await heads.changed(2, 10, stopAll.signal);
    expect(heads.count).toBe(2);
    announcer = await PlayedAnnouncer.start({ port });
    // Blocks may have come meanwhile.
    await heads.changed(2, NEVER_MS, stopAll.signal);
    expect(heads.count).toBe(3);
    announcer.say(noticeOf());
    await heads.changed(3, NEVER_MS, stopAll.signal);
    expect(events).toEqual(['heads-not-announced']);
  });

  test('heads: an endpoint whose subscription had lasted is tried again soon, and its end is said again', async () => {
    const heads = await subscribed({ backoff: { firstMs: 1, longestMs: 200 } });
    for (let i = 1; i <= 5; i++) {
      await sleep(250);
      announcer?.connections.at(-1)?.terminate();
      // Its end, and its subscription.
      await expect.poll(() => heads.count, { interval: 5 }).toBe(1 + 2 * i);
      expect(events).toHaveLength(i);
    }
  });

  test('heads: one that takes the subscription and ends at once is tried ever more seldom, and that is said once', async () => {
    const heads = await subscribed({ backoff: { firstMs: 10, longestMs: 60_000 } });
    const startMs = performance.now();
    for (let i = 1; i <= 6; i++) {
      announcer?.connections.at(-1)?.terminate();
      await expect.poll(() => heads.count, { interval: 5, timeout: 5_000 }).toBe(1 + 2 * i);
    }
    // 10 + 20 + 40 + 80 + 160 + 320 ms
    expect(performance.now() - startMs).toBeGreaterThan(600);
    expect(events).toEqual(['heads-not-announced']);
  });

  test('heads: whoever waits is woken by the end of its signal', async () => {
    const heads = await subscribed();
    const one = new AbortController();
    const waiting = heads.changed(1, NEVER_MS, one.signal);
    one.abort();
    await waiting;
    await heads.changed(1, NEVER_MS, one.signal);
    await polledHeads.changed(0, NEVER_MS, one.signal);
  });

  test('heads: the end closes the connection, and makes no other', async () => {
    await subscribed();
    stopAll.abort();
    const [first] = announcer!.connections;
    await expect.poll(() => first?.readyState, { interval: 5 }).toBe(first?.CLOSED);
    await sleep(100);
    expect(announcer?.connections).toHaveLength(1);
    expect(events).toEqual([]);
  });

  test('heads: without a URL there is no connection', () => {
    expect(headsOf({ chainId: CHAIN_ID }, silentChainLog, stopAll.signal)).toBe(polledHeads);
  });
});

describe('heads of an endpoint that does harm', () => {
  test('heads: only text that is a notice of the subscription counts', async () => {
    const heads = await subscribed();
    const garbage = [
      ...['', 'x', '{', 'null', '[]', '7', '{}', '{"method":"eth_subscription"}'],
      '{"method":"eth_subscription","params":null}',
      '{"jsonrpc":"2.0","id":1,"result":"0x9"}',
      '{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"no"}}',
      ...[noticeOf('0x9'), noticeOf().replace('eth_subscription', 'eth_other'), Buffer.from(noticeOf())],
    ];
    for (const one of garbage) announcer?.say(one);
    announcer?.say(noticeOf());
    await heads.changed(1, NEVER_MS, stopAll.signal);
    expect(heads.count).toBe(2);
    expect(announcer?.connections).toHaveLength(1);
  });

  test('heads: nothing counts before the subscription is taken', async () => {
    announcer = await PlayedAnnouncer.start({}, false);
    const heads = headsAt(announcer.url);
    await expect.poll(() => announcer?.connections.length, { interval: 5 }).toBe(1);
    await expect.poll(() => announcer?.asked, { interval: 5 }).toEqual(['eth_chainId', 'eth_subscribe']);
    for (const one of [noticeOf(), '{"id":1,"result":"0x5"}', '{"id":2,"result":7}', '{"id":2}']) {
      announcer.say(one);
    }
    await sleep(100);
    expect(heads.count).toBe(0);
    expect(announcer.asked).toHaveLength(2);
    announcer.say('{"id":2,"result":"0x7"}');
    await heads.changed(0, NEVER_MS, stopAll.signal);
  });

  test.each(['0x6', '0x05', 5, null])(
    'heads: one whose chain is %j is left, and tried again',
    async (chainId) => {
      announcer = await PlayedAnnouncer.start({}, true, chainId);
      const heads = headsAt(announcer.url);
      await expect.poll(() => announcer?.connections.length, { interval: 5 }).toBeGreaterThan(2);
      expect(heads.count).toBe(0);
      expect(new Set(announcer.asked)).toEqual(new Set(['eth_chainId']));
      expect(events).toEqual(['heads-not-announced']);
    },
  );

  test('heads: a message above the limit ends the connection, and another one follows', async () => {
    announcer = await PlayedAnnouncer.start({ perMessageDeflate: true });
    const heads = await subscribed();
    const [socket] = announcer.connections;
    // What is small before it is unpacked would cost more than it does.
    expect(socket?.extensions).toBe('');
    announcer.say(noticeOf(undefined, 'a'.repeat(64 << 10)));
    // It does not close either.
    socket?.pause();
    await expect.poll(() => announcer?.connections.length, { interval: 5 }).toBe(2);
    await expect.poll(() => heads.count, { interval: 5 }).toBe(3);
  });

  test('heads: a flood is read slowly, and what comes after it is heard', async () => {
    const heads = await subscribed();
    const [socket] = announcer!.connections;
    const large = noticeOf(undefined, 'a'.repeat(60 << 10));
    const startMs = performance.now();
    while (performance.now() < startMs + 500) {
      for (let i = 0; i < 20 && socket!.bufferedAmount < 1 << 22; i++) socket?.send(large);
      await sleep(1);
    }
    // Two in 20 ms.
    expect(heads.count).toBeLessThan(10 + (performance.now() - startMs) / 10);
    expect(heads.count).toBeGreaterThan(2);
    socket?.terminate();
    await expect.poll(() => announcer?.connections.length, { interval: 5 }).toBe(2);
    await sleep(50);
    const { count } = heads;
    announcer?.say(noticeOf());
    await heads.changed(count, NEVER_MS, stopAll.signal);
    expect(heads.count).toBe(count + 1);
  });

  test('heads: many notices at once wake twice, the second time after the last', async () => {
    const heads = await subscribed();
    await sleep(50);
    let before = 1;
    for (let i = 0; i < 3; i++) {
      announcer?.sayAtOnce(noticeOf(), 100);
      await heads.changed(before, NEVER_MS, stopAll.signal);
      expect(heads.count).toBe(before + 1);
      await heads.changed(before + 1, NEVER_MS, stopAll.signal);
      await sleep(60);
      before += 2;
      expect(heads.count).toBe(before);
    }
  });

  test('heads: pings are answered, and without end to one who does not read only as far as they go out', async () => {
    const pong = vi.spyOn(WebSocket.prototype, 'pong');
    const heads = await subscribed();
    const [socket] = announcer!.connections;
    socket?.ping('a');
    await once(socket!, 'pong');
    const ours = pong.mock.contexts[0] as WebSocket;
    expect(ours.url).toBe(`${announcer!.url}/`);
    socket?.pause();
    const payload = Buffer.alloc(125);
    const flood = async (): Promise<void> => {
      for (let i = 0; i < 5_000 && socket!.bufferedAmount < 1 << 20; i++) socket?.ping(payload);
      await sleep(1);
    };
    // Until nothing goes out any more, and beyond.
    const deadlineMs = performance.now() + 20_000;
    while (ours.bufferedAmount === 0 && performance.now() < deadlineMs) await flood();
    expect(ours.bufferedAmount).toBeGreaterThan(0);
    for (const untilMs = performance.now() + 500; performance.now() < untilMs; ) await flood();
    expect(ours.bufferedAmount).toBeLessThan(1_000);
    socket?.resume();
    announcer?.say(noticeOf());
    await heads.changed(1, NEVER_MS, stopAll.signal);
    expect(announcer?.connections).toHaveLength(1);
  }, 40_000);

  test('heads: one that is connected to and says nothing is given up, and tried again', async () => {
    const sockets: Socket[] = [];
    silent = createServer((socket) => void sockets.push(socket.on('error', () => undefined).resume()));
    await once(silent.listen(0, '127.0.0.1'), 'listening');
    const { port } = silent.address() as AddressInfo;
    const heads = headsAt(`ws://127.0.0.1:${port}`, { answerMs: 50 });
    await expect.poll(() => sockets.length, { interval: 5 }).toBeGreaterThan(2);
    await heads.changed(0, 10, stopAll.signal);
    stopAll.abort();
    await expect.poll(() => sockets.every(({ destroyed }) => destroyed), { interval: 5 }).toBe(true);
  });

  test('heads: one that takes no subscription is given up, and tried again', async () => {
    announcer = await PlayedAnnouncer.start({}, false);
    const heads = headsAt(announcer.url, { answerMs: 50 });
    await expect.poll(() => announcer?.connections.length, { interval: 5 }).toBeGreaterThan(2);
    expect(heads.count).toBe(0);
  });

  test('heads: a connection that is dead is noticed, one that is only quiet stays', async () => {
    const quiet = await subscribed({ pingMs: 30 });
    await sleep(200);
    expect(announcer?.connections).toHaveLength(1);
    expect(quiet.count).toBe(1);
    const dead = await PlayedAnnouncer.start({ autoPong: false });
    headsAt(dead.url, { pingMs: 30 });
    await expect.poll(() => dead.connections.length, { interval: 5 }).toBeGreaterThan(1);
    stopAll.abort();
    await dead.stop();
  });
});
