import type { Socket } from 'node:net';
import { create } from '@bufbuild/protobuf';
import { codeOf, KmsError } from '../../shared/errors.ts';
import type { Log, LogReason } from '../../shared/log.ts';
import { type PeerFrame, PeerFrameSchema } from '../../shared/wire/generated/kms/v1/peer_pb.js';
import type { Channel, Frame } from './channel.ts';

export interface ExchangeTiming {
  /** How often a side that has nothing to say says so. */
  readonly heartbeatMs: number;
  /** Nothing received for so long: the peer or the path is dead. */
  readonly silenceMs: number;
  /** An acknowledgement waits so long for a payload to ride on. */
  readonly acknowledgementDelayMs: number;
}

export const EXCHANGE_TIMING: ExchangeTiming = {
  heartbeatMs: 1_000,
  silenceMs: 4_000,
  acknowledgementDelayMs: 5,
};

/** Hands a payload to its receiver; a promise holds back the peer. */
export type Deliver = (payload: Uint8Array) => Promise<void>;

/**
 * One connection's life of a channel: writes what the channel has, reads what comes, notices silence, and ends with its
 * socket. Exactly one exchange per connection, exactly one connection per channel at a time.
 */
export class Exchange {
  /** Resolves when this exchange was closed, by whichever side. */
  readonly ended: Promise<void>;
  readonly #channel: Channel;
  readonly #socket: Pick<Socket, 'bytesRead' | 'destroy' | 'once' | 'destroyed'>;
  readonly #deliver: Deliver;
  readonly #onReady: () => void;
  readonly #log: Log;
  readonly #timing: ExchangeTiming;
  readonly #watch: NodeJS.Timeout;
  readonly #end: () => void;
  #acknowledgementTimer: NodeJS.Timeout | undefined;
  #wake: (() => void) | undefined;
  #open = true;
  #wasReady = false;
  #delivering = false;
  #heartbeatDue = false;
  #acknowledgeNow = false;
  #bytesRead = 0;
  #checkedAtMs = performance.now();
  #heardAtMs = performance.now();

  constructor(options: {
    readonly channel: Channel;
    readonly socket: Pick<Socket, 'bytesRead' | 'destroy' | 'once' | 'destroyed'>;
    readonly deliver: Deliver;
    readonly onReady: () => void;
    readonly log: Log;
    readonly timing?: ExchangeTiming;
  }) {
    this.#channel = options.channel;
    this.#socket = options.socket;
    this.#deliver = options.deliver;
    this.#onReady = options.onReady;
    this.#log = options.log;
    this.#timing = options.timing ?? EXCHANGE_TIMING;
    this.#watch = setInterval(() => this.#check(), this.#timing.heartbeatMs);
    this.#channel.connected();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#end = resolve;
    options.socket.once('close', () => this.close('closed-by-peer'));
    if (options.socket.destroyed) this.close('closed-by-peer');
  }

  /** The peer has spoken on this connection. */
  get wasReady(): boolean {
    return this.#wasReady;
  }

  /** Something was pushed into the channel. */
  wake(): void {
    this.#wake?.();
  }

  /** Ends this exchange and its connection; the channel keeps what is unacknowledged. */
  close(reason: LogReason): void {
    if (!this.#open) return;
    this.#open = false;
    clearInterval(this.#watch);
    clearTimeout(this.#acknowledgementTimer);
    this.#channel.disconnected();
    this.#log('info', 'exchange-closed', { reason });
    this.#wake?.();
    this.#socket.destroy();
    this.#end();
  }

  /** What goes to the peer, until the connection ends. Pulled as fast as the transport takes it. */
  async *outgoing(): AsyncGenerator<PeerFrame> {
    while (this.#open) {
      const frame = this.#next();
      if (frame !== undefined) {
        yield toMessage(frame);
      } else {
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#wake = resolve;
        await promise;
        this.#wake = undefined;
      }
    }
  }

  /** Reads the peer until the connection ends; never rejects. */
  async consume(incoming: AsyncIterable<PeerFrame | undefined>): Promise<void> {
    try {
      for await (const message of incoming) {
        if (!this.#open) return;
        await this.#receive(message);
      }
      this.close('closed-by-peer');
    } catch (error) {
      const violation = error instanceof KmsError;
      if (violation && this.#open) this.#log('warn', 'peer-frame-refused', { code: codeOf(error) });
      this.close(violation ? 'bad-frame' : 'closed-by-peer');
    }
  }

  async #receive(message: PeerFrame | undefined): Promise<void> {
    if (message === undefined) throw new KmsError('BAD_PEER', 'the peer sent an empty message');
    const payload = this.#channel.receive(fromMessage(message));
    if (!this.#wasReady) {
      this.#wasReady = true;
      this.#onReady();
      this.wake();
    }
    if (this.#channel.acknowledgementDue) this.#scheduleAcknowledgement();
    if (payload === undefined) return;
    this.#delivering = true;
    try {
      await this.#deliver(payload);
    } finally {
      this.#delivering = false;
    }
  }

  #next(): Frame | undefined {
    if (this.#channel.pending) return this.#channel.next();
    if (!this.#channel.ready || !(this.#heartbeatDue || this.#acknowledgeNow)) return undefined;
    this.#heartbeatDue = false;
    this.#acknowledgeNow = false;
    return this.#channel.heartbeat();
  }

  #scheduleAcknowledgement(): void {
    this.#acknowledgementTimer ??= setTimeout(() => {
      this.#acknowledgementTimer = undefined;
      this.#acknowledgeNow = this.#channel.acknowledgementDue;
      if (this.#acknowledgeNow) this.wake();
    }, this.#timing.acknowledgementDelayMs);
  }

  /**
   * Silence counts only while this side listens: not while its own handler holds the peer back, and not for time in
   * which this process itself was busy and read nothing.
   */
  #check(): void {
    const now = performance.now();
    const late = now - this.#checkedAtMs > 2 * this.#timing.heartbeatMs;
    this.#checkedAtMs = now;
    const { bytesRead } = this.#socket;
    if (bytesRead !== this.#bytesRead || late || this.#delivering) this.#heardAtMs = now;
    this.#bytesRead = bytesRead;
    if (now - this.#heardAtMs > this.#timing.silenceMs) {
      this.close('peer-silent');
      return;
    }
    this.#heartbeatDue = true;
    this.wake();
  }
}

function toMessage(frame: Frame): PeerFrame {
  return create(PeerFrameSchema, {
    incarnation: frame.incarnation,
    sequence: BigInt(frame.sequence),
    acknowledged: BigInt(frame.acknowledged),
    acknowledgedIncarnation: frame.acknowledgedIncarnation,
    payload: frame.payload,
  });
}

/** Sequence numbers above 2^53 become unsafe integers, which the channel refuses. */
function fromMessage(message: PeerFrame): Frame {
  return {
    incarnation: message.incarnation,
    sequence: Number(message.sequence),
    acknowledged: Number(message.acknowledged),
    acknowledgedIncarnation: message.acknowledgedIncarnation,
    payload: message.payload,
  };
}
