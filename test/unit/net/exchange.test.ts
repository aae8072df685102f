import { EventEmitter } from 'node:events';
import { create } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CHANNEL_LIMITS, Channel } from '../../../enclave/net/channel.ts';
import { EXCHANGE_TIMING, Exchange } from '../../../enclave/net/exchange.ts';
import { systemRng } from '../../../enclave/primitives.ts';
import { type PeerFrame, PeerFrameSchema } from '../../../shared/wire/generated/kms/v1/peer_pb.js';
import { type Logged, numbered, recorder } from './nodes.ts';

/** The socket as far as an exchange knows it. */
class Wire extends EventEmitter {
  bytesRead = 0;
  destroyed = false;

  destroy(): this {
    if (!this.destroyed) {
      this.destroyed = true;
      this.emit('close');
    }
    return this;
  }
}

let log: Logged[] = [];

beforeEach(() => {
  log = [];
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

function exchangeOver(
  wire: Wire,
  deliver: (payload: Uint8Array) => Promise<void> = async () => {},
): Exchange {
  const channel = new Channel(systemRng, CHANNEL_LIMITS);
  return new Exchange({
    channel,
    socket: wire as unknown as ConstructorParameters<typeof Exchange>[0]['socket'],
    deliver,
    onReady: () => {},
    log: recorder(log),
  });
}

/** A stream of frames that the test feeds. */
class Feed implements AsyncIterable<PeerFrame> {
  readonly #queue: PeerFrame[] = [];
  #wake: (() => void) | undefined;

  push(frame: PeerFrame): void {
    this.#queue.push(frame);
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<PeerFrame> {
    for (;;) {
      const frame = this.#queue.shift();
      if (frame !== undefined) yield frame;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}

const incarnation = systemRng(16);

function message(
  sequence: number,
  acknowledgedIncarnation: Uint8Array,
  payload: Uint8Array = new Uint8Array(0),
): PeerFrame {
  return create(PeerFrameSchema, {
    incarnation,
    sequence: BigInt(sequence),
    acknowledgedIncarnation,
    payload,
  });
}

describe('exchange', () => {
  it('exchange: a peer that is silent for more than four seconds is given up', async () => {
    const wire = new Wire();
    const exchange = exchangeOver(wire);
    await vi.advanceTimersByTimeAsync(EXCHANGE_TIMING.silenceMs - 500);
    expect(wire.destroyed).toBe(false);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(wire.destroyed).toBe(true);
    expect(log).toEqual([{ event: 'exchange-closed', reason: 'peer-silent' }]);
    await exchange.ended;
  });

  it('exchange: bytes keep a connection alive', async () => {
    const wire = new Wire();
    const exchange = exchangeOver(wire);
    for (let i = 0; i < 20; i++) {
      wire.bytesRead += 1;
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect(wire.destroyed).toBe(false);
    exchange.close('shutdown');
  });

  it('exchange: silence does not count while this side holds the peer back', async () => {
    const wire = new Wire();
    const gate = Promise.withResolvers<void>();
    const exchange = exchangeOver(wire, () => gate.promise);
    const outgoing = exchange.outgoing();
    const mine = (await outgoing.next()).value!.incarnation;
    const feed = new Feed();
    const reading = exchange.consume(feed);
    feed.push(message(0, new Uint8Array(0)));
    feed.push(message(1, mine, numbered(1)));
    await vi.advanceTimersByTimeAsync(20_000);
    expect(wire.destroyed).toBe(false);
    gate.resolve();
    await vi.advanceTimersByTimeAsync(6_000);
    expect(log.at(-1)?.reason).toBe('peer-silent');
    feed.push(message(0, mine));
    await reading;
  });

  it('exchange: a side with nothing to say says so every second', async () => {
    const wire = new Wire();
    const exchange = exchangeOver(wire);
    const outgoing = exchange.outgoing();
    const mine = (await outgoing.next()).value!.incarnation;
    const feed = new Feed();
    void exchange.consume(feed);
    feed.push(message(0, new Uint8Array(0)));
    let beats = 0;
    const counting = (async () => {
      for await (const frame of outgoing) if (frame.sequence === 0n) beats += 1;
    })();
    for (let i = 0; i < 10; i++) {
      wire.bytesRead += 1;
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect(beats).toBeGreaterThanOrEqual(9);
    expect(mine).toHaveLength(16);
    exchange.close('shutdown');
    await counting;
  });

  it('exchange: a frame against the rules ends the connection', async () => {
    const wire = new Wire();
    const exchange = exchangeOver(wire);
    const feed = new Feed();
    const reading = exchange.consume(feed);
    feed.push(message(1, new Uint8Array(0), numbered(1)));
    await reading;
    expect(wire.destroyed).toBe(true);
    expect(log.map((line) => line.code ?? line.reason)).toEqual(['BAD_PEER', 'bad-frame']);
    await exchange.ended;
  });
});
