import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Channel, type ChannelLimits, type Frame } from '../../../enclave/net/channel.ts';
import { systemRng } from '../../../enclave/primitives.ts';
import { numbered, numberOf } from './nodes.ts';

const limits: ChannelLimits = { maxPayloadBytes: 1000, maxOutboxBytes: 4000 };
const none = new Uint8Array(0);

function channel(): Channel {
  return new Channel(systemRng, limits);
}

/** Two channels over a connection that loses what is under way when it breaks. */
class Pair {
  a = channel();
  b = channel();
  #toA: Frame[] = [];
  #toB: Frame[] = [];
  readonly atA: number[] = [];
  readonly atB: number[] = [];

  connect(): void {
    this.#toA = [];
    this.#toB = [];
    this.a.connected();
    this.b.connected();
  }

  write(from: 'a' | 'b'): void {
    const frame = this[from].next();
    if (frame !== undefined) (from === 'a' ? this.#toB : this.#toA).push(frame);
  }

  read(to: 'a' | 'b'): void {
    const frame = (to === 'a' ? this.#toA : this.#toB).shift();
    if (frame === undefined) return;
    const payload = this[to].receive(frame);
    if (payload !== undefined) (to === 'a' ? this.atA : this.atB).push(numberOf(payload));
  }

  settle(): void {
    for (let i = 0; i < 2000; i++) {
      for (const side of ['a', 'b'] as const) {
        this.write(side);
        this.read(side);
      }
    }
  }
}

function hello(incarnation: Uint8Array, change: Partial<Frame> = {}): Frame {
  return {
    incarnation,
    sequence: 0,
    acknowledged: 0,
    acknowledgedIncarnation: none,
    payload: none,
    ...change,
  };
}

/** A channel whose peer has said hello, with that peer's numbering. */
function ready(): { readonly own: Channel; readonly mine: Uint8Array; readonly theirs: Uint8Array } {
  const own = channel();
  own.connected();
  const mine = own.next()!.incarnation;
  const theirs = systemRng(16);
  own.receive(hello(theirs));
  return { own, mine, theirs };
}

function data(theirs: Uint8Array, mine: Uint8Array, sequence: number, change: Partial<Frame> = {}): Frame {
  const payload = numbered(sequence);
  return {
    incarnation: theirs,
    sequence,
    acknowledged: 0,
    acknowledgedIncarnation: mine,
    payload,
    ...change,
  };
}

describe('channel', () => {
  it('channel: whatever breaks and when, everything arrives once and in order', () => {
    const step = fc.constantFrom('push-a', 'push-b', 'write-a', 'write-b', 'read-a', 'read-b', 'break');
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const pair = new Pair();
        pair.connect();
        let fromA = 0;
        let fromB = 0;
        for (const one of steps) {
          if (one === 'push-a' && fromA < 40) pair.a.push(numbered(fromA++));
          else if (one === 'push-b' && fromB < 40) pair.b.push(numbered(fromB++));
          else if (one === 'break') pair.connect();
          else if (one.startsWith('write')) pair.write(one === 'write-a' ? 'a' : 'b');
          else if (one.startsWith('read')) pair.read(one === 'read-a' ? 'a' : 'b');
        }
        pair.connect();
        pair.settle();
        expect(pair.atB).toEqual(Array.from({ length: fromA }, (_, i) => i));
        expect(pair.atA).toEqual(Array.from({ length: fromB }, (_, i) => i));
        expect(pair.a.outboxBytes).toBe(0);
        expect(pair.b.outboxBytes).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  it('channel: a peer that restarted gets the unacknowledged rest, numbered anew', () => {
    const pair = new Pair();
    pair.connect();
    for (let i = 0; i < 3; i++) pair.a.push(numbered(i));
    pair.settle();
    expect(pair.atB).toEqual([0, 1, 2]);
    pair.b = channel();
    for (let i = 3; i < 6; i++) pair.a.push(numbered(i));
    pair.b.push(numbered(9));
    pair.connect();
    pair.settle();
    expect(pair.atB).toEqual([0, 1, 2, 3, 4, 5]);
    expect(pair.atA).toEqual([9]);
  });

  it('channel: a dropped outbox does not stop what is sent later', () => {
    const pair = new Pair();
    pair.connect();
    pair.a.push(numbered(0));
    pair.settle();
    pair.a.push(numbered(1));
    pair.write('a');
    pair.a.drop();
    pair.connect();
    pair.a.push(numbered(2));
    pair.settle();
    expect(pair.atB).toEqual([0, 2]);
  });

  it('channel: no data before the peer has spoken', () => {
    const own = channel();
    own.push(numbered(1));
    own.connected();
    expect(own.next()?.sequence).toBe(0);
    expect(own.next()).toBeUndefined();
  });

  it('channel: a repeated frame is not delivered again', () => {
    const { own, mine, theirs } = ready();
    expect(own.receive(data(theirs, mine, 1))).toEqual(numbered(1));
    expect(own.receive(data(theirs, mine, 1))).toBeUndefined();
    expect(own.receive(data(theirs, mine, 2))).toEqual(numbered(2));
    expect(own.receive(data(theirs, mine, 1))).toBeUndefined();
  });

  it('channel: a full outbox is BUSY, a large message TOO_LARGE, an empty one BAD_INPUT', () => {
    const own = channel();
    expect(() => own.push(new Uint8Array(1001))).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }));
    expect(() => own.push(none)).toThrow(expect.objectContaining({ code: 'BAD_INPUT' }));
    const fill = (): void => {
      for (;;) own.push(new Uint8Array(900));
    };
    expect(fill).toThrow(expect.objectContaining({ code: 'BUSY' }));
    expect(own.outboxBytes).toBeLessThanOrEqual(4000);
  });

  const violations: Record<string, (theirs: Uint8Array, mine: Uint8Array) => Frame> = {
    'a gap': (theirs, mine) => data(theirs, mine, 2),
    'another numbering': (_, mine) => data(systemRng(16), mine, 1),
    'an acknowledgement of another numbering': (theirs) => data(theirs, systemRng(16), 1),
    'an acknowledgement of what was not sent': (theirs, mine) => data(theirs, mine, 1, { acknowledged: 1 }),
    'a short numbering': (theirs, mine) => data(theirs.subarray(1), mine, 1),
    'data without a payload': (theirs, mine) => data(theirs, mine, 1, { payload: none }),
    'a payload without a number': (theirs, mine) => data(theirs, mine, 0, { payload: numbered(1) }),
    'a number beyond 2^53': (theirs, mine) => data(theirs, mine, 2 ** 60),
    'a payload above the limit': (theirs, mine) => data(theirs, mine, 1, { payload: new Uint8Array(1001) }),
  };
  for (const [what, frame] of Object.entries(violations)) {
    it(`channel: ${what} is BAD_PEER`, () => {
      const { own, mine, theirs } = ready();
      expect(() => own.receive(frame(theirs, mine))).toThrow(expect.objectContaining({ code: 'BAD_PEER' }));
    });
  }

  it('channel: a connection that begins with data is BAD_PEER', () => {
    const own = channel();
    own.connected();
    const frame = data(systemRng(16), own.next()!.incarnation, 1);
    expect(() => own.receive(frame)).toThrow(expect.objectContaining({ code: 'BAD_PEER' }));
  });

  it('channel: a hello that takes back an acknowledgement, or acknowledges too much, is BAD_PEER', () => {
    const { own, mine, theirs } = ready();
    own.push(numbered(1));
    own.next();
    own.receive(hello(theirs, { acknowledged: 1, acknowledgedIncarnation: mine }));
    for (const acknowledged of [0, 2]) {
      own.connected();
      const again = hello(theirs, { acknowledged, acknowledgedIncarnation: mine });
      expect(() => own.receive(again)).toThrow(expect.objectContaining({ code: 'BAD_PEER' }));
    }
  });
});
