import { KmsError } from '../../shared/errors.ts';
import type { Rng } from '../../shared/primitives.ts';
import { equalBytes } from '../../shared/wire/bytes.ts';

/** One frame of a peer stream; the plain form of kms.v1.PeerFrame. */
export interface Frame {
  /** 16 bytes, random: the sender's numbering. */
  readonly incarnation: Uint8Array;
  /** 1, 2, 3, ...; 0 for a frame that only acknowledges. */
  readonly sequence: number;
  readonly acknowledged: number;
  /** 16 bytes, or empty if nothing was ever received. */
  readonly acknowledgedIncarnation: Uint8Array;
  readonly payload: Uint8Array;
}

export interface ChannelLimits {
  readonly maxPayloadBytes: number;
  /** Unacknowledged payload bytes kept for the peer. */
  readonly maxOutboxBytes: number;
}

export const CHANNEL_LIMITS: ChannelLimits = {
  maxPayloadBytes: 8 * 2 ** 20,
  maxOutboxBytes: 256 * 2 ** 20,
};

export const INCARNATION_BYTES = 16;
const NONE: Uint8Array = new Uint8Array(0);
/** What a queued payload costs beyond its bytes, so that empty ones cannot fill the memory. */
const ENTRY_BYTES = 64;

/**
 * Both directions between this process and one peer, over any number of connections that break: order kept, nothing lost
 * while both processes live, nothing delivered twice to one process life. Sans-IO.
 *
 * Every connection begins with one frame of sequence 0 from each side, and data flows only after the other's has come:
 * it says what the peer has. If the peer knows this numbering, what it lacks is sent again; if it does not (it restarted,
 * or this side dropped its queue and drew a new numbering), everything unacknowledged is numbered anew from 1.
 */
export class Channel {
  readonly #limits: ChannelLimits;
  readonly #rng: Rng;
  #incarnation: Uint8Array;
  /** Unacknowledged payloads: sequence #base + 1, #base + 2, ... */
  #outbox: Uint8Array[] = [];
  #outboxBytes = 0;
  #base = 0;
  /** How many of the outbox went out on the current connection. */
  #sent = 0;
  #peerIncarnation: Uint8Array = NONE;
  #received = 0;
  #ready = false;
  #helloDue = false;
  #acknowledgementDue = false;

  constructor(rng: Rng, limits: ChannelLimits = CHANNEL_LIMITS) {
    this.#rng = rng;
    this.#limits = limits;
    this.#incarnation = rng(INCARNATION_BYTES);
  }

  /** The peer's first frame on this connection has come. */
  get ready(): boolean {
    return this.#ready;
  }

  get outboxBytes(): number {
    return this.#outboxBytes;
  }

  /**
   * Queues a payload; it is kept by reference and must not change.
   * @throws {KmsError} TOO_LARGE; BUSY if it does not fit: the caller decides what to drop
   */
  push(payload: Uint8Array): void {
    if (payload.length > this.#limits.maxPayloadBytes) {
      throw new KmsError('TOO_LARGE', `a message has at most ${this.#limits.maxPayloadBytes} bytes`);
    }
    if (payload.length === 0) throw new KmsError('BAD_INPUT', 'a message has at least one byte');
    const cost = payload.length + ENTRY_BYTES;
    if (this.#outboxBytes + cost > this.#limits.maxOutboxBytes) {
      throw new KmsError('BUSY', 'the peer does not take its messages');
    }
    this.#outbox.push(payload);
    this.#outboxBytes += cost;
  }

  /** Forgets every queued payload and starts a new numbering. The connection must be closed with it. */
  drop(): void {
    this.#incarnation = this.#rng(INCARNATION_BYTES);
    this.#outbox = [];
    this.#outboxBytes = 0;
    this.#base = 0;
    this.disconnected();
  }

  /** What the peer has not said it has, in order; some of it may have arrived. */
  unacknowledged(): readonly Uint8Array[] {
    return [...this.#outbox];
  }

  /** Forgets what was never written to the current connection. */
  cut(): void {
    const kept = this.#ready ? this.#sent : 0;
    for (const payload of this.#outbox.splice(kept)) this.#outboxBytes -= payload.length + ENTRY_BYTES;
  }

  connected(): void {
    this.#ready = false;
    this.#helloDue = true;
    this.#acknowledgementDue = false;
    this.#sent = 0;
  }

  disconnected(): void {
    this.#ready = false;
    this.#helloDue = false;
    this.#acknowledgementDue = false;
    this.#sent = 0;
  }

  /** True if next() would give a payload or the connection's first frame. */
  get pending(): boolean {
    return this.#helloDue || (this.#ready && this.#sent < this.#outbox.length);
  }

  get acknowledgementDue(): boolean {
    return this.#ready && this.#acknowledgementDue;
  }

  /** The next frame to write, or undefined if none has anything to say. */
  next(): Frame | undefined {
    if (this.#helloDue) {
      this.#helloDue = false;
      return this.#frame(0, NONE);
    }
    if (!this.#ready) return undefined;
    const payload = this.#outbox[this.#sent];
    if (payload !== undefined) {
      this.#sent += 1;
      return this.#frame(this.#base + this.#sent, payload);
    }
    return this.#acknowledgementDue ? this.heartbeat() : undefined;
  }

  /** A frame that only acknowledges. */
  heartbeat(): Frame {
    return this.#frame(0, NONE);
  }

  /**
   * Takes a frame of the current connection. Returns the payload to deliver, if it is a new one; it counts as received
   * from here on, so the caller delivers it in this process life whatever happens to the connection.
   * @throws {KmsError} BAD_PEER for a frame that an honest peer cannot send: close the connection
   */
  receive(frame: Frame): Uint8Array | undefined {
    checkFrame(frame, this.#limits);
    if (!this.#ready) {
      this.#begin(frame);
      return undefined;
    }
    if (!equalBytes(frame.incarnation, this.#peerIncarnation)) {
      throw new KmsError('BAD_PEER', 'the peer changed its numbering inside a connection');
    }
    // It speaks only after this side's first frame, so it knows this numbering.
    if (!equalBytes(frame.acknowledgedIncarnation, this.#incarnation)) {
      throw new KmsError('BAD_PEER', 'the peer acknowledges a numbering of another time');
    }
    if (frame.acknowledged > this.#base + this.#sent) {
      throw new KmsError('BAD_PEER', 'the peer acknowledges what was not sent');
    }
    this.#acknowledge(frame.acknowledged);
    if (frame.sequence === 0) return undefined;
    this.#acknowledgementDue = true;
    if (frame.sequence <= this.#received) return undefined;
    if (frame.sequence !== this.#received + 1) throw new KmsError('BAD_PEER', 'the peer left out a message');
    this.#received = frame.sequence;
    return frame.payload;
  }

  #begin(hello: Frame): void {
    if (hello.sequence !== 0) throw new KmsError('BAD_PEER', 'a connection begins without data');
    if (!equalBytes(hello.incarnation, this.#peerIncarnation)) {
      this.#peerIncarnation = hello.incarnation;
      this.#received = 0;
    }
    if (equalBytes(hello.acknowledgedIncarnation, this.#incarnation)) {
      if (hello.acknowledged < this.#base || hello.acknowledged > this.#base + this.#outbox.length) {
        throw new KmsError('BAD_PEER', 'the peer acknowledges what was not sent');
      }
      this.#acknowledge(hello.acknowledged);
    } else {
      this.#base = 0;
    }
    this.#sent = 0;
    this.#ready = true;
  }

  #acknowledge(upTo: number): void {
    const count = upTo - this.#base;
    if (count <= 0) return;
    for (const payload of this.#outbox.splice(0, count)) this.#outboxBytes -= payload.length + ENTRY_BYTES;
    this.#base = upTo;
    this.#sent = Math.max(0, this.#sent - count);
  }

  #frame(sequence: number, payload: Uint8Array): Frame {
    this.#acknowledgementDue = false;
    return {
      incarnation: this.#incarnation,
      sequence,
      acknowledged: this.#received,
      acknowledgedIncarnation: this.#peerIncarnation,
      payload,
    };
  }
}

function checkFrame(frame: Frame, limits: ChannelLimits): void {
  const { incarnation, sequence, acknowledged, acknowledgedIncarnation, payload } = frame;
  const well =
    incarnation.length === INCARNATION_BYTES &&
    (acknowledgedIncarnation.length === 0 || acknowledgedIncarnation.length === INCARNATION_BYTES) &&
    Number.isSafeInteger(sequence) &&
    Number.isSafeInteger(acknowledged) &&
    sequence >= 0 &&
    acknowledged >= 0 &&
    payload.length > 0 === sequence > 0;
  if (!well) throw new KmsError('BAD_PEER', 'malformed peer frame');
  if (payload.length > limits.maxPayloadBytes) throw new KmsError('BAD_PEER', 'peer frame is too large');
}
