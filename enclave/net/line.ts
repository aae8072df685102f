import type { TLSSocket } from 'node:tls';
import type { VerifiedNode } from '../../shared/attestation/node-evidence.ts';
import { codeOf } from '../../shared/errors.ts';
import type { PartyId } from '../../shared/ids.ts';
import type { Log, LogReason } from '../../shared/log.ts';
import type { Rng } from '../../shared/primitives.ts';
import { toHex } from '../../shared/wire/bytes.ts';
import { Channel, type ChannelLimits } from './channel.ts';
import { Exchange, type ExchangeTiming } from './exchange.ts';

export interface LineOptions {
  readonly party: PartyId;
  readonly limits: ChannelLimits;
  readonly rng: Rng;
  readonly log: Log;
  readonly timing?: ExchangeTiming;
  readonly onMessage: (line: Line, payload: Uint8Array) => void | Promise<void>;
  /** The line's connection came up or went down. */
  readonly onChange: (line: Line) => void;
  readonly onAdmit: (line: Line) => void;
}

/** How long the last words on a line may take. */
const FAREWELL_MS = 1_000;

/**
 * One process of another member, known by its TLS key, over any number of connections: its channel and the connection that
 * carries it now. A member has more than one only while it restarts, or if it was cloned.
 */
export class Line {
  readonly party: PartyId;
  /** Names the process: its TLS key in hex. */
  readonly key: string;
  readonly #options: LineOptions;
  readonly #channel: Channel;
  /** Payloads for this very process. */
  readonly #told = new WeakSet<Uint8Array>();
  #node: VerifiedNode;
  #exchange: Exchange | undefined;
  #delivery: Promise<void> = Promise.resolve();
  #up = false;
  #closed = false;

  constructor(node: VerifiedNode, options: LineOptions) {
    this.party = options.party;
    this.key = toHex(node.spki);
    this.#options = options;
    this.#channel = new Channel(options.rng, options.limits);
    this.#node = node;
  }

  /** What the latest handshake proved. */
  get node(): VerifiedNode {
    return this.#node;
  }

  get up(): boolean {
    return this.#up;
  }

  get outboxBytes(): number {
    return this.#channel.outboxBytes;
  }

  /** From now on the member's messages go to this process, and what waited for the member goes to it first. */
  admit(): void {
    this.#options.onAdmit(this);
  }

  /**
   * Queues a payload, which the member's next process gets if this one does not.
   * @throws {KmsError} TOO_LARGE, BAD_INPUT; BUSY if the outbox is full
   */
  send(payload: Uint8Array): void {
    this.#channel.push(payload);
    this.#exchange?.wake();
  }

  /** Queues a payload that means something to this process only; lost if the outbox is full. @throws as send() */
  tell(payload: Uint8Array): void {
    if (this.#closed) return;
    this.#told.add(payload);
    try {
      this.send(payload);
    } catch (error) {
      if (codeOf(error) !== 'BUSY') throw error;
    }
  }

  /** Takes a new connection of this process; it replaces the one there was. */
  attach(socket: TLSSocket, node: VerifiedNode): Exchange {
    this.#exchange?.close('replaced');
    this.#node = node;
    this.#setUp(false);
    const { log, timing } = this.#options;
    const exchange = new Exchange({
      channel: this.#channel,
      socket,
      deliver: (payload) => this.#deliver(payload),
      onReady: () => this.#setUp(true),
      log,
      ...(timing === undefined ? {} : { timing }),
    });
    this.#exchange = exchange;
    void exchange.ended.then(() => {
      if (this.#exchange !== exchange) return;
      this.#exchange = undefined;
      this.#setUp(false);
    });
    if (this.#closed) exchange.close('superseded');
    return exchange;
  }

  /** Closes the connection there is; the process may come back with another. */
  disconnect(reason: LogReason): void {
    this.#exchange?.close(reason);
  }

  /** For good: what this process says from now on is not heard. */
  close(reason: LogReason): void {
    this.#closed = true;
    this.disconnect(reason);
  }

  /** Forgets the queue and the connection. */
  drop(): void {
    this.#exchange?.close('outbox-full');
    this.#channel.drop();
  }

  /** Ends this line after it has been told one last thing. @returns what the member's next process is to get */
  retire(lastWord?: Uint8Array): readonly Uint8Array[] {
    const left = this.#channel.unacknowledged().filter((payload) => !this.#told.has(payload));
    this.#channel.cut();
    if (lastWord === undefined || this.#exchange === undefined) {
      this.close('superseded');
      return left;
    }
    this.tell(lastWord);
    this.#closed = true;
    setTimeout(() => this.disconnect('superseded'), FAREWELL_MS).unref();
    return left;
  }

  /** Deliveries of one process happen one after the other, also across two of its connections. */
  #deliver(payload: Uint8Array): Promise<void> {
    this.#delivery = this.#delivery.then(async () => {
      if (this.#closed) return;
      try {
        await this.#options.onMessage(this, payload);
      } catch (error) {
        this.#options.log('error', 'message-handler-failed', { code: codeOf(error) });
      }
    });
    return this.#delivery;
  }

  #setUp(up: boolean): void {
    if (this.#up === up) return;
    this.#up = up;
    this.#options.onChange(this);
  }
}
