import { once } from 'node:events';
import { createConnection, createServer } from 'node:net';
import { type Duplex, duplexPair } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { dialNode } from '../../../enclave/net/dial.ts';
import { DIAL_LIMITS, DialBudget } from '../../../enclave/net/dial-budget.ts';
import { ed25519Signer, nodePrimitives, systemRng } from '../../../enclave/primitives.ts';
import { digest } from '../../../shared/ids.ts';
import type { Link } from '../../../shared/link.ts';
import { attestedIdentity, mockTrust } from '../../simulator/attested.ts';

const { answeredMs, unansweredMs, share, burstMs } = DIAL_LIMITS;

/** A budget whose pauses move its clock. */
function budget() {
  let nowMs = 0;
  const pause = async (ms: number): Promise<void> => {
    nowMs += ms;
  };
  return { now: () => nowMs, budget: new DialBudget(DIAL_LIMITS, () => nowMs, pause) };
}

describe('dial budget', () => {
  it('dial budget: dials that are answered stay below the share for as long as it takes', async () => {
    const { budget: of, now } = budget();
    let spentMs = 0;
    while (now() < 600_000) {
      await of.begin();
      spentMs += answeredMs;
    }
    expect(spentMs).toBeLessThanOrEqual(burstMs + share * now() + answeredMs);
    expect(share).toBeLessThan(0.02);
  });

  it('dial budget: dials that find nobody cost next to nothing', async () => {
    const { budget: of, now } = budget();
    const dials = Math.floor(burstMs / unansweredMs) - Math.ceil(answeredMs / unansweredMs);
    for (let i = 0; i < dials; i++) {
      await of.begin();
      of.unanswered();
    }
    expect(now()).toBe(0);
  });

  it('dial budget: turns come in order, so that who fails again and again keeps nobody out', async () => {
    const { budget: of } = budget();
    for (let i = 0; i < burstMs / answeredMs; i++) await of.begin();
    const order: number[] = [];
    await Promise.all([1, 2, 3].map((i) => of.begin().then(() => order.push(i))));
    expect(order).toEqual([1, 2, 3]);
  });
});

describe('dials under a budget', () => {
  const closing: (() => void)[] = [];
  afterEach(() => {
    for (const close of closing.splice(0)) close();
  });

  class Counting extends DialBudget {
    readonly calls: string[] = [];
    override begin(): Promise<void> {
      this.calls.push('begin');
      return super.begin();
    }
    override unanswered(): void {
      this.calls.push('unanswered');
      super.unanswered();
    }
  }

  /** What a dial to a parent that does this is charged. */
  async function charged(
    conduct: ((stream: Duplex) => void) | undefined,
    isSocket = true,
  ): Promise<readonly string[]> {
    const networkId = digest(`6d6f636b${'12'.repeat(28)}`);
    const signer = ed25519Signer(systemRng(32));
    const own = await attestedIdentity(signer, networkId);
    const server = createServer((socket) => {
      socket.on('error', () => {});
      conduct?.(socket);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    closing.push(() => server.close());
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const link: Link<Duplex> = {
      listen: () => Promise.reject(new Error('not here')),
      connect: async () => {
        if (conduct === undefined) throw new Error('no parent');
        if (!isSocket) {
          // As a stream of the native layer: nothing but a Duplex.
          const [near, far] = duplexPair();
          near.on('error', () => {});
          far.on('error', () => {}).resume();
          setImmediate(() => conduct(far));
          return near;
        }
        const socket = createConnection(port, '127.0.0.1').on('error', () => {});
        await once(socket, 'connect');
        return socket;
      },
    };
    const of = new Counting();
    const target = { address: '127.0.0.1:1', identity: signer.publicKey };
    await dialNode(link, own, nodePrimitives, mockTrust(networkId), target, of).catch(() => undefined);
    return of.calls;
  }

  it('dial budget: who says anything is paid for, who hangs up or is not there is not', async () => {
    expect(await charged(undefined)).toEqual(['begin', 'unanswered']);
    for (const isSocket of [true, false]) {
      expect(await charged((stream) => stream.destroy(), isSocket)).toEqual(['begin', 'unanswered']);
      const words = 'HTTP/1.1 200 OK\r\n\r\n';
      expect(await charged((stream) => stream.end(words), isSocket)).toEqual(['begin']);
    }
  });
});
